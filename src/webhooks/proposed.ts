import type { Cell } from "../cells/cell.ts";
import type { FiledAt, Looked, Proposing } from "../cells/proposing.ts";
import type { Proposal } from "../cells/registry/proposals.ts";
import type { Parsed } from "../commands/parsing/parse.ts";
import { lookAtProposal, type ProposalDeps } from "../commands/proposals/look-at-proposal.ts";
import { isDirector, nameOf } from "../commands/rights.ts";
import { readForm } from "../gitea/form.ts";
import { findMarker } from "../gitea/markdown.ts";
import { issueHash } from "../hash.ts";
import type { Reading } from "./read-thread.ts";

export type ProposedDeps = ProposalDeps & {
  readonly proposing: Proposing;
  parse(text: string): Parsed[];
};

/** What a look at a thread found of the proposal that it is. */
export type Proposed =
  | { readonly kind: "looked"; readonly filed: FiledAt; readonly looked: Looked; readonly comments: number }
  | { readonly kind: "reopened"; readonly filed: FiledAt; readonly looked: Looked }
  | {
      readonly kind: "seen";
      readonly filed: FiledAt;
      readonly comments?: number;
      readonly isEdited?: boolean;
    }
  | { readonly kind: "closed"; readonly filed: FiledAt; readonly by: string };

/** Reads the proposal that a thread is, as far as something follows from it; null where nothing does. */
export async function readProposal(reading: Reading, deps: ProposedDeps): Promise<Proposed | null> {
  const { repository, number, issue, botId, since } = reading;
  if (issue.isPullRequest || issue.author.id === botId) return null;
  const known = deps.registry.proposals.of(repository.id, number);
  const isNew = known === null;
  if (isNew && (!issue.isOpen || issue.createdAt < since || readForm(issue.body) === null)) return null;
  const hadCell = known?.state === "closed" && deps.registry.cell(known.cellId) !== null;
  const cellId = known === null || hadCell ? crypto.randomUUID() : known.cellId;
  const filed = { repository, number, author: issue.author, cellId };
  if (known === null) return looked(filed, reading, deps);
  if (known.state === "closed")
    return issue.isOpen ? { kind: "reopened", filed, looked: await look(filed, reading, deps) } : null;
  const cell = deps.registry.cell(known.cellId);
  if (!hasBegun(cell, deps))
    return issue.isOpen ? ofOpen(known, filed, reading, deps) : ofClosed(filed, reading, deps);
  if (cell?.state === "archived" || cell?.state === "destroyed") return null;
  const isEdited = issueHash(issue.title, issue.body) !== known.readSha256;
  return isEdited === (known.editedAt !== null) ? null : { kind: "seen", filed, isEdited };
}

/** Makes what follows, in the transaction that ends the look. */
export function takeProposal(found: Proposed | null, { proposing }: Pick<ProposedDeps, "proposing">): void {
  if (found === null) return;
  const { filed } = found;
  if (found.kind === "closed")
    proposing.close(filed, { who: found.by, why: `withdrawn: ${found.by} closed the issue` });
  if (found.kind === "reopened") proposing.reopen(filed);
  if (found.kind === "reopened" || found.kind === "looked") proposing.take(filed, found.looked);
  if (found.kind === "seen" || found.kind === "looked") proposing.note(filed, found);
}

/** Whether its run has its place, or had it: what is edited from then on changes nothing of it. */
function hasBegun(cell: Cell | null, { registry }: Pick<ProposedDeps, "registry">): boolean {
  if (cell === null) return false;
  return cell.state !== "proposed" || registry.lastRun(cell.id)?.state !== "waiting";
}

/** What is planned already is only looked at again where its text is another one. */
async function ofOpen(
  known: Proposal,
  filed: FiledAt,
  reading: Reading,
  deps: ProposedDeps,
): Promise<Proposed | null> {
  const { title, body } = reading.issue;
  if (known.state !== "planned" || issueHash(title, body) !== known.readSha256)
    return looked(filed, reading, deps);
  const comments = await countComments(reading, deps);
  return comments === known.comments ? null : { kind: "seen", filed, comments };
}

/** Closed by its author, or by somebody who may turn it down, it is withdrawn. */
async function ofClosed(filed: FiledAt, reading: Reading, deps: ProposedDeps): Promise<Proposed | null> {
  const { repository, number, issue } = reading;
  const since = issue.closedAt ?? issue.createdAt;
  const last = (await deps.forge.doings(nameOf(repository), number, since)).at(-1);
  if (last?.kind !== "closed") return null;
  const may = last.by.id === issue.author.id || (await isDirector(last.by, repository, deps));
  return may ? { kind: "closed", filed, by: last.by.login } : null;
}

async function looked(filed: FiledAt, reading: Reading, deps: ProposedDeps): Promise<Proposed> {
  const found = await look(filed, reading, deps);
  return { kind: "looked", filed, looked: found, comments: await countComments(reading, deps) };
}

function look(filed: FiledAt, { where, issue }: Reading, deps: ProposedDeps): Promise<Looked> {
  return lookAtProposal({ ...where, issue, cellId: filed.cellId }, deps);
}

/** What people said below it, commands left out. */
async function countComments({ number, botId, where }: Reading, deps: ProposedDeps): Promise<number> {
  const { entries } = await deps.forge.comments(where.name, number);
  return entries.filter(
    (one) => one.author.id !== botId && findMarker(one.body) === null && deps.parse(one.body).length === 0,
  ).length;
}
