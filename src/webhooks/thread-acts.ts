import type { Cell, Closing, Role } from "../cells/cell.ts";
import { includesRole } from "../cells/cell.ts";
import type { Lifecycle } from "../cells/lifecycle.ts";
import type { Registry } from "../cells/registry/registry.ts";
import type { Steps } from "../cells/steps/steps.ts";
import type { Clock } from "../clock.ts";
import { standingIn } from "../commands/access/standing-in.ts";
import { lastWords } from "../commands/last-words.ts";
import type { Parsed } from "../commands/parsing/parse.ts";
import { replyJob } from "../commands/posting/answer.ts";
import { approvedText } from "../commands/posting/post-draft.ts";
import { nameOf, type Rights } from "../commands/rights.ts";
import { approvedInVain, approvedOlder } from "../commands/words/approval-words.ts";
import type { Markdown } from "../gitea/markdown.ts";
import type { Doing, Forge, Issue, Person, Review } from "../gitea/port.ts";
import type { Log } from "../log.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Queue } from "../queue/queue.ts";

/** What was read of a thread, as far as acts go. */
export interface SeenThread {
  readonly repository: RepositoryRef;
  readonly number: number;
  readonly issue: Issue;
  readonly reviews: readonly Review[];
  readonly botId: number;
  /** What is older was never meant for us (the forge's clock). */
  readonly since: number;
}

export interface ActDeps {
  readonly forge: Forge;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly steps: Pick<Steps, "putDraft">;
  /**
   * What was acted on before, by the forge's ids; `mark` answers false for it, and joins the caller's
   * transaction.
   */
  readonly handled: {
    mark(repositoryId: number, source: Act["source"], id: number): boolean;
    isMarked(repositoryId: number, source: Act["source"], id: number): boolean;
  };
  readonly queue: Queue;
  readonly clock: Clock;
  readonly log: Log;
  readonly rights: Pick<Rights, "standing">;
  parse(text: string): Parsed[];
  forgeNow(): number | null;
}

/**
 * Something a person did without typing, and the cells that close for it (none, where that person may not
 * close them).
 */
export interface Act {
  readonly source: "doing" | "review";
  readonly id: number;
  readonly closes: readonly {
    readonly cellId: string;
    readonly closing: Closing;
    readonly why: string;
    /** The draft was approved: it is no draft any more. */
    readonly isApproval: boolean;
  }[];
  /** Why nothing closes for it, where people would expect that. */
  readonly told?: Markdown;
}

/**
 * What people did on a thread that nobody acted on yet: a draft of ours was merged, closed or approved, or a
 * mission's own thread was closed. Asks the forge who did it, and only where a cell that is active or idle is
 * concerned. What the bot did itself is nobody's act.
 */
export async function readActs(seen: SeenThread, deps: ActDeps): Promise<Act[]> {
  const drafts = deps.registry.ofPullRequest(seen.repository, seen.number).filter(isOpen);
  const missions = deps.registry.ofThread(seen.repository.id, seen.number).filter(isOpen);
  const ended = seen.issue.isOpen ? null : await lastDoing(seen, [...drafts, ...missions], deps);
  if (ended !== null) return [await endedBy(ended, { seen, drafts, missions }, deps)];
  const approval = await approvalOf(seen, drafts, deps);
  return approval === null ? [] : [approval];
}

/**
 * Makes the acts' effects, each once. To be called in the transaction that ends the look, before the reviews
 * are marked.
 */
export function act(
  acts: readonly Act[],
  { repository, number }: Pick<SeenThread, "repository" | "number">,
  deps: ActDeps,
): void {
  for (const one of acts) {
    // A review is marked by whoever reads its words, in this same transaction.
    const isNew =
      one.source === "review"
        ? !deps.handled.isMarked(repository.id, "review", one.id)
        : deps.handled.mark(repository.id, "doing", one.id);
    if (!isNew) continue;
    if (one.told !== undefined) {
      const marker = `approval:${repository.id}:${one.id}`;
      deps.queue.put(replyJob({ repository, number, marker, body: one.told }));
    }
    for (const { cellId, closing, why, isApproval } of one.closes) {
      const cell = deps.registry.mustCell(cellId);
      if (!isOpen(cell)) continue;
      deps.log.info({ cell: cellId, who: closing.by, why }, "cell closes");
      if (isApproval) {
        deps.registry.rememberText(approvedText(cell), closing.by);
        deps.steps.putDraft(cellId, `approved:${one.id}`);
      }
      deps.lifecycle.close(cell, closing, why);
    }
  }
}

function isOpen(cell: Cell): boolean {
  return cell.state === "active" || cell.state === "idle";
}

/**
 * The last closing or merge, where it is new, somebody else's, and younger than one of the cells at least.
 */
async function lastDoing(seen: SeenThread, cells: readonly Cell[], deps: ActDeps): Promise<Doing | null> {
  if (cells.length === 0) return null;
  const { repository, number, issue } = seen;
  const since = issue.closedAt ?? issue.createdAt;
  const last = (await deps.forge.doings(nameOf(repository), number, since)).at(-1);
  if (last === undefined || last.kind === "reopened" || last.by.id === seen.botId) return null;
  return deps.handled.isMarked(repository.id, "doing", last.id) ? null : last;
}

async function endedBy(
  doing: Doing,
  at: { seen: SeenThread; drafts: readonly Cell[]; missions: readonly Cell[] },
  deps: ActDeps,
): Promise<Act> {
  const { seen } = at;
  const by = doing.by.login;
  const verb = doing.kind === "merged" ? "merged" : "closed";
  const ofDrafts = (await whomItConcerns(doing, at, deps))
    .filter((cell) => wasAlive(cell, doing, deps))
    .map((cell) => ({
      cellId: cell.id,
      closing: closingBy(by, doing.kind === "merged" ? "merged" : "rejected"),
      why: `${pullRequestOf(cell)} was ${verb} by ${by}`,
      isApproval: false,
    }));
  const missions = at.missions.filter(
    (cell) => wasAlive(cell, doing, deps) && doing.id > (cell.askedInComment ?? cell.cardId ?? Infinity),
  );
  const theirs: Cell[] = [];
  for (const cell of missions) if (await isDirector(doing.by, cell, deps)) theirs.push(cell);
  // Who merges the very pull request that a cell delivers to has the right to write there.
  const isDelivered = (cell: Cell) => doing.kind === "merged" && cell.delivery === "branch";
  const ofMissions = missions
    .filter((cell) => theirs.includes(cell) || isDelivered(cell))
    .map((cell) => ({
      cellId: cell.id,
      closing: closingBy(by, doing.kind === "merged" ? "merged" : null),
      why: `#${seen.number} was ${verb} by ${by}`,
      isApproval: false,
    }));
  return { source: "doing", id: doing.id, closes: [...ofDrafts, ...ofMissions] };
}

/** A draft of an earlier version may lie in a fork: closing it there is no say about a cell of the target. */
async function whomItConcerns(
  doing: Doing,
  { seen, drafts }: { readonly seen: SeenThread; readonly drafts: readonly Cell[] },
  deps: ActDeps,
): Promise<Cell[]> {
  const concerned: Cell[] = [];
  for (const cell of drafts) {
    const isHere = cell.repository.id === seen.repository.id;
    if (isHere || (await isDirector(doing.by, cell, deps))) concerned.push(cell);
  }
  return concerned;
}

/**
 * An official approval of a draft, by somebody who may close its cell, that says no command of its own. It is
 * of a commit: of an older one, and while somebody else asks for changes, it closes nothing, and its author
 * is told why.
 */
async function approvalOf(seen: SeenThread, drafts: readonly Cell[], deps: ActDeps): Promise<Act | null> {
  if (drafts.length === 0) return null;
  const approval = seen.reviews.findLast(
    (one) =>
      one.state === "approved" &&
      one.isOfficial &&
      one.author.id !== seen.botId &&
      one.submittedAt >= seen.since &&
      !deps.handled.isMarked(seen.repository.id, "review", one.id) &&
      deps.parse(one.body).length === 0,
  );
  if (approval === undefined) return null;
  const by = approval.author.login;
  const theirs: Cell[] = [];
  for (const cell of drafts) if (await isDirector(approval.author, cell, deps)) theirs.push(cell);
  const [first] = theirs;
  if (first === undefined) return null;
  const told = (body: Markdown): Act => ({ source: "review", id: approval.id, closes: [], told: body });
  const head = await headOf(seen, deps);
  if (approval.commit !== "" && head !== approval.commit)
    return told(approvedOlder(by, approval.commit, head));
  const objectors = await objectorsTo(approval, { seen, cell: first }, deps);
  if (objectors.length > 0) return told(approvedInVain(first, { by, objectors }));
  const closes = theirs.map((cell) => ({
    cellId: cell.id,
    closing: { ...closingBy(by, null), isApproved: true },
    why: `${pullRequestOf(cell)} was approved by ${by}`,
    isApproval: true,
  }));
  return { source: "review", id: approval.id, closes };
}

/** What the draft holds now. The forge's mark of a stale approval comes some time after the push. */
async function headOf(seen: SeenThread, deps: ActDeps): Promise<string | null> {
  return (await deps.forge.pullRequest(nameOf(seen.repository), seen.number))?.head.commit ?? null;
}

/**
 * Those whose last word is that something has to change, and whose word counts: they may write there. Being
 * asked to look again takes nothing from that, whatever the forge makes of it.
 */
async function objectorsTo(
  approval: Review,
  { seen, cell }: { readonly seen: SeenThread; readonly cell: Cell },
  deps: ActDeps,
): Promise<string[]> {
  const last = lastWords(seen.reviews);
  last.delete(approval.author.id);
  const objectors: string[] = [];
  for (const { author, state } of last.values())
    if (state === "changes-requested" && (await has(author, "executor", cell, deps)))
      objectors.push(author.login);
  return objectors;
}

function closingBy(login: string, outcome: Closing["outcome"]): Closing {
  return { by: login, discard: false, thenDestroy: false, outcome, person: login };
}

function pullRequestOf(cell: Cell): string {
  const isHere =
    cell.pullRequestRepository?.toLowerCase() === cell.repository.fullName.toLowerCase() ||
    cell.pullRequestRepository === null;
  return `${isHere ? "" : cell.pullRequestRepository}#${cell.pullRequest}`;
}

/**
 * Whether it was done while the cell was alive: one that was brought back from its archive since is not
 * closed for it again.
 */
function wasAlive(cell: Cell, doing: Doing, deps: ActDeps): boolean {
  const revived = deps.registry.history(cell.id).findLast((row) => row.from === "archived");
  const skewMs = (deps.forgeNow() ?? deps.clock.now()) - deps.clock.now();
  return revived === undefined || doing.at >= revived.at + skewMs;
}

function isDirector(person: Person, cell: Cell, deps: ActDeps): Promise<boolean> {
  return has(person, "director", cell, deps);
}

async function has(person: Person, role: Role, cell: Cell, deps: ActDeps): Promise<boolean> {
  const standing = await standingIn(cell, person, deps);
  if (standing.kind === "unknowable") {
    deps.log.warn({ repository: cell.repository.fullName, why: standing.why }, "who may close is not known");
    return false;
  }
  return standing.role !== null && includesRole(standing.role, role);
}
