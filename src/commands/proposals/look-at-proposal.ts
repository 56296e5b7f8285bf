import { includesRole } from "../../cells/cell.ts";
import { makeProposalBrief } from "../../cells/proposal-brief.ts";
import type { Looked } from "../../cells/proposing.ts";
import type { NewCell } from "../../cells/registry/cell-row.ts";
import { readForm } from "../../gitea/form.ts";
import { md } from "../../gitea/markdown.ts";
import type { Issue, Repository, RepositoryName } from "../../gitea/port.ts";
import { issueHash } from "../../hash.ts";
import { oneLine } from "../../protocol/agent-text.ts";
import { formatDuration } from "../../units.ts";
import { freeBranch } from "../access/delivery-branch.ts";
import { checkFitness } from "../access/resolve-target.ts";
import type { Deps } from "../command.ts";
import { type Base, coAuthorOf, resolveBase } from "../plan-cell.ts";
import { mistakeOf, mistakes } from "../words/proposal-words.ts";
import { type Asked, readAsked } from "./read-asked.ts";

export type ProposalDeps = Pick<Deps, "forge" | "registry" | "clock" | "config" | "lifecycle"> & {
  readonly rights: Pick<Deps["rights"], "standing">;
};

/** An issue that was filed with the form, as the forge has it now. */
export interface Filed {
  readonly name: RepositoryName;
  readonly repository: Repository;
  readonly issue: Issue;
  /** The id that its cell has, or is to have. */
  readonly cellId: string;
}

/** Reads a proposal and makes its plan, or finds everything that is in the way of one. Changes nothing. */
export async function lookAtProposal(filed: Filed, deps: ProposalDeps): Promise<Looked> {
  const { issue, repository, name } = filed;
  const readSha256 = issueHash(issue.title, issue.body);
  const form = readForm(issue.body);
  if (form === null) return { kind: "faulty", readSha256, mistakes: [mistakeOf(null, mistakes.noForm())] };
  const { asked, found } = readAsked(form, { repository, number: issue.number, config: deps.config });
  const target = { name, repository, issue, pullRequest: null };
  const unfit = checkFitness(repository, null);
  // A cell that is there has what it needs.
  const isThere = deps.registry.cell(filed.cellId) !== null;
  const shortage = isThere ? null : deps.lifecycle.shortage(repository.id);
  const base = await resolveBase({ target, base: asked.base }, deps);
  const all = [
    ...found,
    ...("refusal" in base
      ? [
          mistakeOf(
            "Base branch",
            mistakes.noBranch(asked.base ?? repository.defaultBranch, repository.fullName),
          ),
        ]
      : []),
    ...(shortage === null ? [] : [mistakeOf(null, mistakes.unfit(md`${shortage}.`))]),
    ...(unfit === null ? [] : [mistakeOf(null, mistakes.unfit(unfit.reply.markdown))]),
  ];
  if (all.length > 0 || "refusal" in base) return { kind: "faulty", readSha256, mistakes: all };
  return { kind: "planned", readSha256, ...(await plan(filed, { asked, base }, deps)), wish: asked.wish };
}

async function plan(
  { name, repository, issue, cellId }: Filed,
  { asked, base }: { readonly asked: Asked; readonly base: Base },
  deps: ProposalDeps,
): Promise<{ readonly cell: NewCell; readonly agents: readonly string[] }> {
  const known = deps.registry.cell(cellId);
  const branch = known?.branch ?? (await freeBranch(cellId, { name, repository }, deps));
  const isTrusted = await mayWrite(issue, repository, deps);
  const [first, ...next] = asked.agents;
  const { fullName } = repository;
  const brief = makeProposalBrief({
    ...{ agent: first?.name ?? "", next: next.map((one) => one.name) },
    ...{ target: `${fullName}#${issue.number}`, title: titleOf(issue, asked) },
    ...{ author: issue.author.login, authorIsTrusted: isTrusted },
    ...{ baseName: base.name, baseCommit: base.commit, branch },
    ...{ objective: asked.objective, criteria: asked.criteria },
    ...{ untouched: asked.wish.untouched, checks: asked.wish.checks },
    ttl: formatDuration(asked.wish.ttlMs),
    coAuthor: first?.git.hasCoAuthor ? coAuthorOf(issue.author, repository.htmlUrl) : null,
  });
  const now = deps.clock.now();
  const cell: NewCell = {
    id: cellId,
    approval: `it was proposed by ${issue.author.login}`,
    repository: { id: repository.id, fullName },
    number: issue.number,
    isPullRequest: false,
    title: titleOf(issue, asked),
    issueUrl: `${repository.htmlUrl}/issues/${issue.number}`,
    requester: issue.author,
    askedInComment: null,
    asked: null,
    agent: first?.name ?? "",
    waitsForApproval: true,
    ...{ baseName: base.name, baseRef: base.ref, baseCommit: base.commit, branch },
    ...{ delivery: base.delivery, mergeInto: base.mergeInto, rules: base.rules, fork: base.fork },
    ...{ brief: brief.text, briefSha256: brief.sha256 },
    createdAt: now,
    // Of the plan: once it is approved its own time counts, from then on.
    expiresAt: now + deps.config.limits.ttlMs,
  };
  return { cell, agents: asked.agents.map((one) => one.name) };
}

/** The form begins a title for people, who may leave it at that. */
function titleOf({ title }: Issue, { objective }: Asked): string {
  const own = oneLine(title).replace(/^mission:\s*/i, "");
  return own !== "" ? own : oneLine(objective).slice(0, 120);
}

async function mayWrite(
  { author }: Pick<Issue, "author">,
  { id, fullName }: Repository,
  deps: Pick<ProposalDeps, "rights">,
): Promise<boolean> {
  const standing = await deps.rights.standing(author, { id, fullName });
  return standing.kind === "known" && standing.role !== null && includesRole(standing.role, "executor");
}
