import { makeBrief } from "../cells/brief.ts";
import { includesRole, type Requester, shortId } from "../cells/cell.ts";
import type { NewCell } from "../cells/registry/cell-row.ts";
import type { AgentConfig } from "../config/config.ts";
import { marker, md } from "../gitea/markdown.ts";
import type { Issue, PullRequest } from "../gitea/port.ts";
import { issueHash } from "../hash.ts";
import { plain } from "../visible.ts";
import { freeBranch, mayBePushedTo } from "./access/delivery-branch.ts";
import type { Target } from "./access/resolve-target.ts";
import { type Answer, type Deps, type Origin, refuse } from "./command.ts";
import { replies } from "./words/replies.ts";
import type { Sentence } from "./words/sentence.ts";

type PlanDeps = Pick<Deps, "forge" | "registry" | "rights" | "clock">;

interface Wish {
  readonly agent: AgentConfig;
  /** Agents that work there after it, in order. */
  readonly next: readonly AgentConfig[];
  readonly target: Target;
  readonly ttlMs: number;
  readonly base: string | null;
  readonly words: string | null;
  /** Only to be told: no issue is opened for it. */
  readonly isTold: boolean;
}

export interface Plan {
  readonly cell: NewCell;
  /** Said in the thread where it was typed, when the card stands in another. */
  readonly elsewhere: Sentence;
}

export interface Base {
  readonly name: string;
  readonly ref: string;
  readonly commit: string;
  readonly delivery: NewCell["delivery"];
  readonly mergeInto: NewCell["mergeInto"];
  /** The base branch of a pull request: never its head, which anybody may have written. */
  readonly rules: NewCell["rules"];
  /** The branch of the pull request, where the cell delivers to it. */
  readonly branch: string | null;
  readonly fork: NewCell["fork"];
}

/**
 * Fixes everything about a cell that is to be made: base commit, branch, brief, and whether it waits for
 * approval.
 */
export async function planCell(
  wish: Wish,
  at: { origin: Origin; deps: PlanDeps },
): Promise<Plan | { refusal: Answer }> {
  const { target, agent } = wish;
  const id = rememberedId(at.origin);
  const base = await resolveBase(wish, at.deps);
  if ("refusal" in base) return base;
  const issue = target.issue ?? (wish.isTold ? issueToBe(wish, at) : await openIssueFor(id, wish, at));
  const [trust, branch] = await Promise.all([
    authorTrust(issue, target, at),
    base.branch ?? freeBranch(id, target, at.deps),
  ]);
  const repository = { id: target.repository.id, fullName: target.repository.fullName };
  const brief = makeBrief({
    agent: agent.name,
    next: wish.next.map((one) => one.name),
    target: `${repository.fullName}#${issue.number}`,
    title: issue.title,
    body: issue.body,
    author: issue.author.login,
    authorIsTrusted: trust,
    requester: at.origin.person.login,
    words: wish.words,
    baseName: base.name,
    baseCommit: base.commit,
    branch,
    coAuthor: agent.git.hasCoAuthor ? coAuthorOf(at.origin.person, target.repository.htmlUrl) : null,
  });
  const approval = target.issue === null ? null : approvalReason(issue, target, trust, at.origin);
  const now = at.deps.clock.now();
  const cell: NewCell = {
    id,
    approval,
    repository,
    number: issue.number,
    isPullRequest: issue.isPullRequest,
    title: issue.title,
    issueUrl: `${target.repository.htmlUrl}/${issue.isPullRequest ? "pulls" : "issues"}/${issue.number}`,
    requester: at.origin.person,
    askedInComment: at.origin.commentId,
    asked: at.origin.asker.via === "forge" ? at.origin.asker : null,
    agent: agent.name,
    waitsForApproval: approval !== null,
    baseName: base.name,
    baseRef: base.ref,
    baseCommit: base.commit,
    branch,
    delivery: base.delivery,
    mergeInto: base.mergeInto,
    rules: base.rules,
    fork: base.fork,
    brief: brief.text,
    briefSha256: brief.sha256,
    createdAt: now,
    expiresAt: now + wish.ttlMs,
  };
  return { cell, elsewhere: replies.summonedElsewhere(cell) };
}

/** The same command, tried again, makes the same cell. */
function rememberedId(origin: Origin): string {
  const known = origin.notes.cellId;
  if (typeof known === "string") return known;
  return crypto.randomUUID();
}

/** What a cell is to start from, pinned to a commit, and where its work goes. */
export async function resolveBase(
  wish: Pick<Wish, "target" | "base">,
  deps: Pick<PlanDeps, "forge">,
): Promise<Base | { refusal: Answer }> {
  const { repository, name, pullRequest } = wish.target;
  if (pullRequest !== null) {
    return wish.base === null
      ? pullRequestBase(pullRequest, wish.target, deps)
      : { refusal: refuse("usage", replies.baseOnPullRequest()) };
  }
  const wanted = wish.base ?? repository.defaultBranch;
  const branch = NO_BRANCH.test(wanted) ? null : await deps.forge.branch(name, wanted);
  if (branch === null)
    return { refusal: refuse("not-found", replies.noSuchBranch(wanted, repository.fullName)) };
  return {
    name: branch.name,
    ref: `refs/heads/${branch.name}`,
    commit: branch.commit,
    delivery: "draft",
    mergeInto: { repository: repository.fullName, branch: branch.name },
    rules: null,
    branch: null,
    fork: null,
  };
}

/**
 * What git takes for no name of a branch, as far as it would lead elsewhere in an address. @see
 * git-check-ref-format(1)
 */
const NO_BRANCH = /\.\.|^[/.-]|\/\/|\/\.|[/.]$|[\x00-\x20\x7f~^:?*[\\]|@\{/;

/**
 * From a pull request's head: back to its branch where that lies here and anybody who may push may push to
 * it, else as a draft of its own. From the default branch, or a protected one, that draft goes into this very
 * branch; from a fork into what the pull request is to be merged into: nobody here can push to a fork.
 */
async function pullRequestBase(
  pullRequest: PullRequest,
  target: Target,
  deps: Pick<PlanDeps, "forge">,
): Promise<Base | { refusal: Answer }> {
  const { head } = pullRequest;
  if (head.repositoryId === null || head.fullName === null || head.commit === "") {
    return {
      refusal: refuse("refused", replies.headIsGone(`${target.repository.fullName}#${pullRequest.number}`)),
    };
  }
  const isHere = head.repositoryId === target.repository.id;
  const isOpen = isHere && (await mayBePushedTo(head.ref, target, deps));
  const base = { ref: `refs/heads/${pullRequest.base.ref}`, commit: pullRequest.base.commit };
  return {
    name: isHere ? head.ref : `${head.fullName.split("/")[0]}:${head.ref}`,
    ref: `refs/pull/${pullRequest.number}/head`,
    commit: head.commit,
    delivery: isOpen ? "branch" : "draft",
    mergeInto: { repository: target.repository.fullName, branch: isHere ? head.ref : pullRequest.base.ref },
    rules: base,
    branch: isOpen ? head.ref : null,
    fork: isHere ? null : { fullName: head.fullName, ...base },
  };
}

async function authorTrust(
  issue: Issue,
  target: Target,
  at: { origin: Origin; deps: PlanDeps },
): Promise<boolean> {
  if (target.issue === null || issue.author.id === at.origin.person.id) return true;
  const ref = { id: target.repository.id, fullName: target.repository.fullName };
  const standing = await at.deps.rights.standing(issue.author, ref);
  return standing.kind === "known" && standing.role !== null && includesRole(standing.role, "executor");
}

/**
 * Why a cell must wait for a director's word: the issue's text is not the one that the person saw who typed
 * the command there, or nobody knows which one that was; or it is another thread's, and its author has no
 * write permission. A command line summon is its own approval.
 */
function approvalReason(
  issue: Issue,
  target: Target,
  authorIsTrusted: boolean,
  origin: Origin,
): string | null {
  if (origin.isOperator) return null;
  const isThisThread =
    origin.thread?.repository.id === target.repository.id && origin.thread.number === issue.number;
  if (isThisThread && origin.issueHash === null)
    return "the thread has changed since the command was typed, and I did not see what the text said then";
  if (isThisThread) {
    return issueHash(issue.title, issue.body) === origin.issueHash
      ? null
      : "the text of the issue was changed after the command was typed";
  }
  return authorIsTrusted
    ? null
    : `the text is by ${issue.author.login}, who has no write permission, and I did not see it when the command was typed`;
}

/** What that issue would be like. */
function issueToBe(wish: Wish, { origin, deps }: { origin: Origin; deps: Pick<PlanDeps, "clock"> }): Issue {
  const [at, author] = [deps.clock.now(), { id: origin.person.id ?? 0, login: origin.person.login }];
  return {
    ...{ number: 0, title: plain(wish.words ?? "").trim(), body: "", author, labels: [] },
    ...{ isPullRequest: false, isOpen: true, createdAt: at, updatedAt: at, closedAt: null },
  };
}

/** Opens the issue that bears the card, unless an earlier attempt did. */
async function openIssueFor(id: string, wish: Wish, at: { origin: Origin; deps: PlanDeps }): Promise<Issue> {
  const { forge } = at.deps;
  const name = wish.target.name;
  const mark = marker(`issue:${id}`);
  if (at.origin.notes.cellId === id) {
    const mine = await forge.issuesBy(name, (await forge.me()).login);
    const found = mine.find((issue) => issue.body.startsWith(mark.text));
    if (found !== undefined) return found;
  }
  at.origin.note({ cellId: id });
  const asked = plain(wish.words ?? "").trim();
  const title =
    asked === "" ? `${wish.agent.name}: cell ${shortId(id)}` : (asked.split("\n")[0] ?? "").slice(0, 120);
  const names = [wish.agent, ...wish.next].map((one) => one.name).join(", then ");
  const body = md`${mark}\n${at.origin.person.login} summoned ${names} on this repository.\n\n${asked === "" ? "No words were given." : asked}`;
  return forge.openIssue(name, title, body);
}

/** As the forge itself names people who keep their address to themselves; the operator is nobody there. */
export function coAuthorOf(person: Requester, forgeUrl: string): string | null {
  return person.id === null
    ? null
    : `${person.login} <${person.login}@noreply.${new URL(forgeUrl).hostname}>`;
}
