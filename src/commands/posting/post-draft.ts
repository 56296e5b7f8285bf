import type { Cell, Run } from "../../cells/cell.ts";
import { isOfEarlierLife } from "../../cells/registry/last-revive.ts";
import { LazarusError } from "../../errors.ts";
import { type PullRequest, parseRepositoryName, type RepositoryName } from "../../gitea/port.ts";
import { sha256 } from "../../hash.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { lastWords } from "../last-words.ts";
import { checksSection } from "../words/check-words.ts";
import { DRAFT, draftBody, draftTitle } from "../words/draft-text.ts";

/** Handlers that open and update a cell's draft pull request and ask for its review. */
export function createDraftHandlers(deps: PostDeps): Pick<Handlers, "draft" | "review" | "unpublish"> {
  return {
    unpublish: (job) => unpublish(job.payload.cellId, deps),
    draft: (job, context) => openOrUpdate(job, context, deps),
    review: (job) => requestReview(job.payload, deps),
  };
}

/**
 * Under which name it is remembered that a cell's draft was approved, and by whom: it is no draft any more. A
 * revived cell's next one is.
 */
export function approvedText(cell: Pick<Cell, "id" | "pullRequest">): string {
  return `approved:${cell.id}:${cell.pullRequest}`;
}

interface Place {
  /** Where the pull request is opened. */
  readonly name: RepositoryName;
  readonly fullName: string;
  readonly head: string;
  readonly base: string;
}

/**
 * Where a cell's draft is to be opened: in its target, into what the cell was to be merged into, or the pull
 * request that it is about. A fork's pull request has its base here, whatever its own branch is called.
 */
async function placeOf(cell: Cell, name: RepositoryName, deps: Pick<PostDeps, "forge">): Promise<Place> {
  const head = cell.publishedBranch ?? cell.branch;
  const about = cell.fork !== null ? await deps.forge.pullRequest(name, cell.number) : null;
  return { name, fullName: cell.repository.fullName, head, base: about?.base.ref ?? cell.mergeInto.branch };
}

/** The same where its base is gone meanwhile: the default branch takes its place; null: it is there. */
async function withoutBase(place: Place, deps: Pick<PostDeps, "forge">): Promise<Place | null> {
  if ((await deps.forge.branch(place.name, place.base)) !== null) return null;
  const base = (await deps.forge.repository(place.name))?.defaultBranch ?? place.base;
  return base === place.base ? null : { ...place, base };
}

async function openOrUpdate(
  job: Job<"draft">,
  context: JobContext,
  deps: PostDeps,
): Promise<Finish | undefined> {
  const { cellId } = job.payload;
  const cell = deps.registry.cell(cellId);
  if (cell === null || cell.publishedTip === null) return undefined;
  if (cell.state === "destroyed" || cell.closing?.thenDestroy) return undefined;
  const name = await confirm(cell.repository, deps);
  const body = bodyOf(cell, deps);
  if (cell.pullRequest !== null) {
    const where = whereItsDraftIs(cell, name);
    if (await isStillIts(cell, { name: where, number: cell.pullRequest }, deps)) {
      await updateText(cell, { name: where, number: cell.pullRequest, body }, deps);
      return undefined;
    }
  }
  const place = await placeOf(cell, name, deps);
  const lost = job.notes.attempted === true ? await findLost(place, deps) : null;
  if (lost !== null) {
    await updateText(cell, { name, number: lost.number, body }, deps);
    return opened(cell, lost.number, place, deps);
  }
  context.note({ attempted: true });
  const draft = await open(cell, { place, body }, deps);
  rememberAsStored(cellId, draft, deps);
  return opened(cell, draft.number, place, deps);
}

function bodyOf(cell: Cell, deps: PostDeps): ReturnType<typeof draftBody> {
  const last = deps.registry.lastKeptRun(cell.id);
  const agent = deps.config.agents.get(last?.agent ?? cell.agent);
  const results = cell.checked?.tip === cell.publishedTip ? deps.steps.checks.results(cell) : [];
  return draftBody(cell, last, {
    others: reportsOfOthers(cell, last, deps),
    checks: checksSection(cell, results, agent),
  });
}

/** Of a team's other agents the last run of each that reported something, in the order of their turns. */
function reportsOfOthers(cell: Cell, last: Run | null, { registry }: Pick<PostDeps, "registry">): Run[] {
  const team = registry.team.of(cell.id).map((one) => one.agent);
  if (team.length === 0) return [];
  const runs = registry.runs(cell.id);
  const others = [cell.agent, ...team].filter((agent) => agent !== last?.agent);
  return others.flatMap(
    (agent) => runs.findLast((run) => run.agent === agent && run.left?.report != null) ?? [],
  );
}

/** One that an earlier version opened may stand in a fork. */
function whereItsDraftIs(cell: Cell, name: RepositoryName): RepositoryName {
  return parseRepositoryName(cell.pullRequestRepository ?? "") ?? name;
}

/** Whether a cell's pull request is its own yet: one from before its revival may be over. */
async function isStillIts(
  cell: Cell,
  pull: { readonly name: RepositoryName; readonly number: number },
  deps: PostDeps,
): Promise<boolean> {
  if (!isOfEarlierLife(cell, deps.registry)) return true;
  return (await deps.forge.pullRequest(pull.name, pull.number))?.isOpen === true;
}

function opened(cell: Cell, number: number, place: Place, deps: PostDeps): Finish {
  return () => deps.reports.drafted(cell.id, number, place.fullName);
}

/** What an earlier attempt opened, into the default branch too where its own base was gone. */
async function findLost(place: Place, deps: Pick<PostDeps, "forge">): Promise<PullRequest | null> {
  const found = await findOpen(place, deps);
  if (found !== null) return found;
  const elsewhere = await withoutBase(place, deps);
  return elsewhere === null ? null : findOpen(elsewhere, deps);
}

async function findOpen(place: Place, deps: Pick<PostDeps, "forge">): Promise<PullRequest | null> {
  return deps.forge.findPullRequest(place.name, place.head, place.base);
}

/**
 * Remembers what the forge has now, which is what we sent with its secrets hidden: who differs from it later
 * was somebody else.
 */
function rememberAsStored(cellId: string, stored: PullRequest | null, deps: PostDeps): void {
  if (stored !== null) deps.registry.rememberText(`draft:${cellId}`, sha256(stored.body));
}

async function open(
  cell: Cell,
  what: { place: Place; body: ReturnType<typeof draftBody> },
  deps: PostDeps,
): Promise<PullRequest> {
  const { place, body } = what;
  try {
    return await deps.forge.openPullRequest(place.name, {
      head: place.head,
      base: place.base,
      title: draftTitle(cell),
      body,
    });
  } catch (error) {
    if (!(error instanceof LazarusError) || error.code !== "forge-refused") throw error;
    const elsewhere = await withoutBase(place, deps);
    if (elsewhere !== null) return open(cell, { place: elsewhere, body }, deps);
    // 409: there is one already, opened by an attempt whose answer was lost, or by somebody else.
    const existing = await findOpen(place, deps);
    if (existing === null) throw error;
    return existing;
  }
}

/** Rewrites our own text, unless somebody has edited it since: then it is theirs. */
async function updateText(
  cell: Cell,
  what: { name: RepositoryName; number: number; body: ReturnType<typeof draftBody> },
  deps: PostDeps,
): Promise<void> {
  const current = await deps.forge.pullRequest(what.name, what.number);
  if (current === null || !current.isOpen) return;
  if (current.title.startsWith(DRAFT) && deps.registry.rememberedText(approvedText(cell)) !== null) {
    await giveBackSay(what.name, what.number, deps);
    await deps.forge.editPullRequest(what.name, what.number, {
      title: current.title.slice(DRAFT.length),
    });
  }
  const written = deps.registry.rememberedText(`draft:${cell.id}`);
  if (written !== null && sha256(current.body) !== written) return;
  if (current.body === what.body.text) return;
  await deps.forge.editPullRequest(what.name, what.number, { body: what.body });
  rememberAsStored(cell.id, await deps.forge.pullRequest(what.name, what.number), deps);
}

/** The branch goes only where its pull request is closed or merged: an open one needs it. */
async function unpublish(cellId: string, deps: PostDeps): Promise<Finish | undefined> {
  const cell = deps.registry.cell(cellId);
  const tip = cell?.publishedTip ?? null;
  if (cell?.state !== "archived" || tip === null) return undefined;
  const name = whereItsDraftIs(cell, await confirm(cell.repository, deps));
  if (cell.pullRequest !== null && (await deps.forge.pullRequest(name, cell.pullRequest))?.isOpen !== false)
    return undefined;
  return () => deps.steps.deleteBranch(cellId, tip);
}

/**
 * Whoever asked is asked to review, and whose points were answered to look again: that is how people hear of
 * a draft. Asking again takes from a person's rejection what it counts for the forge, so it is done only
 * while the draft's own mark keeps it from being merged. Nobody can be made to: a refusal is no failure.
 */
async function requestReview(
  { cellId, again, isOver }: Job<"review">["payload"],
  deps: PostDeps,
): Promise<Finish | undefined> {
  const cell = deps.registry.cell(cellId);
  if (cell?.pullRequest == null) return undefined;
  const name = parseRepositoryName(cell.pullRequestRepository ?? cell.repository.fullName);
  if (name === null) return undefined;
  if (isOver) {
    await giveBackSay(name, cell.pullRequest, deps);
    return undefined;
  }
  if (again !== undefined) {
    const pull = await deps.forge.pullRequest(name, cell.pullRequest);
    if (pull === null || !pull.isOpen || !pull.title.startsWith(DRAFT)) return undefined;
  }
  const { pullRequest, requester } = cell;
  await tolerateRefusal(() => deps.forge.requestReview(name, pullRequest, again ?? requester.login));
  return undefined;
}

/**
 * Before it is a draft no more, and once its cell is closed: whoever asked for changes, and did not look
 * again when asked to, has a say again in whether it is merged.
 */
export async function giveBackSay(
  name: RepositoryName,
  number: number,
  deps: Pick<PostDeps, "forge">,
): Promise<void> {
  const objectors = [...lastWords(await deps.forge.reviews(name, number)).values()].filter(
    ({ state }) => state === "changes-requested",
  );
  for (const { author } of objectors)
    await tolerateRefusal(() => deps.forge.withdrawReviewRequest(name, number, author.login));
}

/** A forge may say no to what nobody waits for, such as a request on a pull request that is closed. */
async function tolerateRefusal(call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof LazarusError) || error.retryable || error.code !== "forge-refused") throw error;
  }
}
