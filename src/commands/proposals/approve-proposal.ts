import type { Cell, Role } from "../../cells/cell.ts";
import { type BriefComment, withComments } from "../../cells/proposal-brief.ts";
import type { Looked } from "../../cells/proposing.ts";
import type { Proposal } from "../../cells/registry/proposals.ts";
import { LazarusError } from "../../errors.ts";
import { findMarker } from "../../gitea/markdown.ts";
import type { Comment, Issue, Repository, RepositoryName } from "../../gitea/port.ts";
import { issueHash } from "../../hash.ts";
import { clean } from "../../protocol/agent-text.ts";
import { formatCount } from "../../units.ts";
import { confirmed } from "../access/confirm-repository.ts";
import { type Answer, type Command, type Deps, type Origin, refuse } from "../command.ts";
import { typedLines } from "../parsing/command-lines.ts";
import { replies } from "../words/replies.ts";
import { lookAtProposal } from "./look-at-proposal.ts";

interface At {
  readonly origin: Origin;
  readonly deps: Deps;
}

interface Typed {
  readonly command: Command;
  /** As much of the shown hash as was typed, in lower case; null: none was. */
  readonly hash: string | null;
}

/** Whoever approves without a hash has had so long to read what stands there, by the forge's clock. */
export const READING_MS = 60_000;

const MOST_COMMENTS = 20;

/**
 * What was approved is what is run: the issue is read again and its plan made again. Where that is another
 * one than the hash names, nothing is approved, and the card shows the new plan.
 */
export async function approveProposal(cell: Cell, typed: Typed, at: At): Promise<Answer> {
  const { deps, origin } = at;
  const { name, repository } = await confirmed(cell.repository, deps);
  const issue = await deps.forge.issue(name, cell.number);
  if (issue === null) return refuse("refused", replies.proposalGone(cell));
  const proposal = deps.registry.proposals.ofCell(cell.id);
  if (proposal === null) throw new LazarusError("internal", `cell ${cell.id} has no proposal`);
  const isChanged = issueHash(issue.title, issue.body) !== proposal.readSha256;
  const looked = isChanged ? await lookAtProposal({ name, repository, issue, cellId: cell.id }, deps) : null;
  const filed = { repository: cell.repository, number: cell.number, author: issue.author, cellId: cell.id };
  const take = looked === null ? () => {} : () => deps.proposing.take(filed, looked);
  if (looked?.kind === "faulty" || (looked === null && proposal.state !== "planned"))
    return { ...refuse("refused", replies.proposalFaulty(cell)), effects: take };
  const sha256 = looked?.kind === "planned" ? looked.cell.briefSha256 : cell.briefSha256;
  const refusal =
    whyNot(typed, { cell, issue, looked, sha256 }) ?? (await tooSoon(typed, { cell, proposal, name }, at));
  if (refusal !== null) return { ...refusal, effects: take };
  const text = looked?.kind === "planned" ? looked.cell.brief : cell.brief;
  const isWith = typed.command.flags["--with-comments"] === true;
  const more = isWith ? await commentsFor({ cell, name, repository, issue }, at) : NO_COMMENTS;
  const brief = withComments(text, more.given);
  const why = `approved: brief ${brief.sha256.slice(0, 8)}${more.words}`;
  return {
    kind: "done",
    line: replies.approvedPlan(cell, brief.sha256, more.words),
    data: { id: cell.id, brief_sha256: brief.sha256 },
    effects: () => {
      take();
      deps.proposing.approve(cell.id, origin.person, { sha256, brief, why });
    },
  };
}

function whyNot(
  { hash }: Typed,
  at: { readonly cell: Cell; readonly issue: Issue; readonly looked: Looked | null; readonly sha256: string },
) {
  if (hash !== null && at.sha256.startsWith(hash)) return null;
  if (at.looked !== null && at.sha256 !== at.cell.briefSha256)
    return refuse(
      "refused",
      replies.proposalChanged(at.cell, {
        at: at.issue.updatedAt,
        author: at.issue.author.login,
        sha256: at.sha256,
      }),
    );
  return hash === null ? null : refuse("refused", replies.otherHash(at.cell, hash));
}

/** Without a hash nobody knows what the director had read. */
async function tooSoon(
  { hash, command }: Typed,
  at: { readonly cell: Cell; readonly proposal: Proposal; readonly name: RepositoryName },
  { origin, deps }: At,
) {
  if (hash !== null) return null;
  const { cell, proposal, name } = at;
  if (origin.isOperator)
    return command.flags["--yes"] === true ? null : refuse("usage", replies.hashNeeded(cell));
  const typedAt =
    origin.commentId === null
      ? null
      : ((await deps.forge.comment(name, origin.commentId))?.createdAt ?? null);
  const isShown = proposal.shownSha256 === cell.briefSha256 && proposal.shownAt !== null;
  const stoodMs = isShown && typedAt !== null ? typedAt - (proposal.shownAt ?? typedAt) : 0;
  return stoodMs >= READING_MS ? null : refuse("refused", replies.planTooYoung(cell));
}

interface Chosen {
  readonly given: readonly BriefComment[];
  /** How many there are, and what was left out, as ` with 2 comments, without 1 that was edited`. */
  readonly words: string;
}

const NO_COMMENTS: Chosen = { given: [], words: "" };

/** What people said below the proposal until it was approved, as they first wrote it. */
async function commentsFor(
  at: {
    readonly cell: Cell;
    readonly name: RepositoryName;
    readonly repository: Repository;
    readonly issue: Issue;
  },
  { origin, deps }: At,
): Promise<Chosen> {
  const [me, { entries, skipped }] = await Promise.all([
    deps.forge.me(),
    deps.forge.comments(at.name, at.issue.number),
  ]);
  const until = entries.find((one) => one.id === origin.commentId)?.createdAt ?? Infinity;
  const isTheirs = (one: Comment) =>
    one.author.id !== me.id && one.createdAt <= until && one.id !== origin.commentId;
  const said = entries.filter((one) => isTheirs(one) && !holdsCommand(one.body) && clean(one.body) !== "");
  const whole = said.filter((one) => one.updatedAt === one.createdAt && one.isCut !== true);
  const roles = new Map<number, Role | null>();
  const given: BriefComment[] = [];
  for (const { author, createdAt, body } of whole.slice(0, MOST_COMMENTS)) {
    if (!roles.has(author.id)) {
      const standing = await deps.rights.standing(author, at.cell.repository);
      roles.set(author.id, standing.kind === "known" ? standing.role : null);
    }
    given.push({ author: author.login, role: roles.get(author.id) ?? null, at: createdAt, body });
  }
  const edited = said.length - whole.length;
  const tooMany = whole.length - given.length + skipped.length;
  const without = [
    ...(edited === 0 ? [] : [`${edited} that ${edited === 1 ? "was" : "were"} edited`]),
    ...(tooMany === 0 ? [] : [`${tooMany} that ${tooMany === 1 ? "is" : "are"} too many or too large`]),
  ];
  const rest = without.length === 0 ? "" : `, without ${without.join(" and ")}`;
  return { given, words: ` with ${formatCount(given.length, "comment")}${rest}` };
}

function holdsCommand(body: string): boolean {
  return findMarker(body) !== null || typedLines(body.split(/\r\n|\r|\n/)).length > 0;
}
