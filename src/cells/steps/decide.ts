import { toIso } from "../../clock.ts";
import type { Harvest } from "../../protocol/shapes.ts";
import { aboutShown, type ShownSecret } from "../../protocol/shown-secret.ts";
import { type Cell, type Closing, isVisit, type Outcome, type Run } from "../cell.ts";
import { EXITS, type Exit, type ExitClass } from "../exit.ts";

/** What a cell needs next; found afresh from what is written down, so that asking twice does no harm. */
export type Step =
  | { readonly kind: "nothing" }
  | { readonly kind: "stop"; readonly run: Run }
  | { readonly kind: "collect"; readonly run: Run }
  | { readonly kind: "push"; readonly run: Run; readonly tip: string }
  | { readonly kind: "draft" }
  /** All of it is published: its pull request is to be merged. */
  | { readonly kind: "merge"; readonly tip: string }
  | { readonly kind: "seal" }
  | { readonly kind: "scrub" }
  /** Closing cannot go on: back to idle, with the reason. */
  | { readonly kind: "give-up"; readonly why: string };

const NOTHING: Step = { kind: "nothing" };

/** Decides the next step of a cell from its row and its last run. Pure. */
export function decide(cell: Cell, last: Run | null): Step {
  if (cell.state === "destroyed" || cell.state === "archived" || cell.state === "proposed") return NOTHING;
  if (cell.closing?.thenDestroy) return { kind: "scrub" };
  if (last !== null && (last.state === "running" || last.state === "admitted")) {
    if (cell.closing !== null) return { kind: "stop", run: last };
    // What others made is published while somebody only looks at it.
    if (!isVisit(last)) return NOTHING;
  }
  if (cell.closing?.discard) return { kind: "seal" };
  return publishing(cell, last) ?? (cell.state === "closing" ? { kind: "seal" } : NOTHING);
}

function publishing(cell: Cell, last: Run | null): Step | null {
  if (last !== null && isUncollected(last)) return { kind: "collect", run: last };
  // A branch that was merged, and perhaps removed then, is not made again; what came after it stays in the
  // seal.
  if (cell.closing !== null && isEndOfWork(cell.closing)) return null;
  const harvest = cell.harvest;
  if (last === null || harvest === null) return null;
  // It goes on by itself: half of it is published to nobody.
  if (isRetryInLine(last) || isGoingOn(last)) return null;
  // Also where nothing of it can be published: whoever closes must have said that it is to be discarded.
  const held = [...heldFor(cell), ...(cell.repositoryTrouble === null ? [] : [cell.repositoryTrouble])];
  const blocked = held.length > 0 ? held.join("; ") : cell.pushRefused;
  if (blocked !== null) {
    // Its time is up, whoever would have to look: its seal keeps what is held back.
    if (cell.closing?.outcome === "expired") return null;
    return cell.state === "closing" ? { kind: "give-up", why: blocked } : NOTHING;
  }
  if (harvest.tip === null) return null;
  if (cell.publishedTip !== harvest.tip) return { kind: "push", run: last, tip: harvest.tip };
  if (wantsDraft(cell) && cell.pullRequest === null) return { kind: "draft" };
  return cell.closing?.isToMerge ? { kind: "merge", tip: harvest.tip } : null;
}

/**
 * Whether people have decided about a cell's pull request: they merged, closed or approved it, and nothing
 * more is to be pushed to it.
 */
export function isEndOfWork(closing: Pick<Closing, "outcome" | "isApproved">): boolean {
  return closing.isApproved === true || closing.outcome === "merged" || closing.outcome === "rejected";
}

/** Whether it is a retry that waits for its time, or for a place. */
export function isRetryInLine(run: Pick<Run, "state" | "isAutomatic">): boolean {
  return run.state === "waiting" && run.isAutomatic;
}

/**
 * Whether it waits to answer a review, for more of them or for a place: whoever asks for a run meanwhile need
 * not wait for that.
 */
export function isReviewInLine(run: Pick<Run, "state" | "turnKind">): boolean {
  return run.state === "waiting" && run.turnKind === "review";
}

/** Whether it would go on by itself later, and gives way to whoever asks for a run now. */
export function waitsByItself(run: Pick<Run, "state" | "turnKind" | "isAutomatic">): boolean {
  return isRetryInLine(run) || isReviewInLine(run) || (run.state === "waiting" && run.turnKind === "fix");
}

/** Whether it waits for its place, to go on at once from what was made before: that is not published yet. */
function isGoingOn(run: Pick<Run, "state" | "turnKind" | "role">): boolean {
  return run.state === "waiting" && !isVisit(run) && ["tell", "next", "guest"].includes(run.turnKind);
}

/** Whether what a run left was not looked at yet. */
export function isUncollected(run: Pick<Run, "state" | "startedAt" | "collectedAt">): boolean {
  return run.state === "ended" && run.startedAt !== null && run.collectedAt === null;
}

/**
 * Every reason why what a cell made is not pushed; none where a director let this very tip go, and each value
 * of `env` that it shows. Other secrets are never let go.
 */
export function heldFor(cell: Pick<Cell, "harvest" | "releasedTip" | "releasedSecrets">): string[] {
  const { harvest } = cell;
  if (harvest === null) return [];
  const shown = secretsHeld(cell).map(aboutShown);
  const liftable = [...harvest.heldBack, ...harvest.protectedPaths];
  if (harvest.forbidden.length > 0) return [...harvest.forbidden, ...shown, ...liftable];
  const isLetGo = harvest.tip !== null && cell.releasedTip === harvest.tip;
  return isLetGo ? shown : [...shown, ...liftable];
}

/** Values of `env` that what a cell made shows, and that no director let go in this cell. */
export function secretsHeld({
  harvest,
  releasedSecrets,
}: Pick<Cell, "harvest" | "releasedSecrets">): readonly ShownSecret[] {
  const isLetGo = ({ name, mark }: ShownSecret) =>
    mark !== null && (releasedSecrets ?? []).some((one) => one.name === name && one.mark === mark);
  return (harvest?.shownSecrets ?? []).filter((one) => !isLetGo(one));
}

/**
 * Whether what a cell made is shown in a pull request of its own: also where it could not go to the branch it
 * was meant for.
 */
export function wantsDraft(cell: Pick<Cell, "delivery" | "branch" | "publishedBranch">): boolean {
  return cell.delivery === "draft" || (cell.publishedBranch !== null && cell.publishedBranch !== cell.branch);
}

/**
 * A branch that Lazarus made, and that no run pushes to any more. A pull request's own branch is never ours.
 */
export function hasBranchOfOurs(cell: Cell): boolean {
  return cell.state === "archived" && cell.delivery === "draft" && cell.publishedTip !== null;
}

/**
 * Whether whoever asked for a cell can look at its draft: all of it is there, and no agent is about to mend
 * what its checks found.
 */
export function isToBeReviewed(
  cell: Pick<Cell, "requester" | "pullRequest" | "publishedTip" | "harvest">,
  last: Run | null,
): boolean {
  if (cell.pullRequest === null || cell.requester.id === null) return false;
  return cell.publishedTip === cell.harvest?.tip && last?.state === "ended" && !isUncollected(last);
}

/**
 * How a run is to be remembered: what it turned out to be decides, and for what a person ended, what was
 * found.
 */
export function outcomeOf(exit: ExitClass, harvest: Pick<Harvest, "changed">): Outcome {
  if (exit === "done" || exit === "nothing-changed" || exit === "stopped" || exit === "question")
    return harvest.changed ? "done" : "nothing-changed";
  return "failed";
}

/** What follows from an exit by itself. */
export type FollowUp =
  | { readonly kind: "publish" }
  /** Again at `at` (epoch ms). */
  | { readonly kind: "retry"; readonly at: number }
  /** A person is needed; `latch`: why it is not tried again by itself until one asks for it. */
  | { readonly kind: "ask"; readonly latch: string | null };

/**
 * How often in a row a cell went on by itself since a person asked for a run: after a crash, and last after a
 * quota.
 */
export interface Tries {
  readonly crashes: number;
  readonly quotas: number;
}

/** Counts what went on by itself at the end of a cell's runs, oldest first. */
export function triesOf(runs: readonly Pick<Run, "isAutomatic" | "exitClass">[]): Tries {
  let [crashes, quotas] = [0, 0];
  for (const [index, run] of runs.entries()) {
    const isQuota = runs[index - 1]?.exitClass === "quota";
    if (!run.isAutomatic) crashes = 0;
    else if (!isQuota) crashes++;
    quotas = run.isAutomatic && isQuota ? quotas + 1 : 0;
  }
  return { crashes, quotas };
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const FIRST_BACKOFF_MS = 30 * SECOND_MS;
const MOST_BACKOFF_MS = 15 * MINUTE_MS;
const UNKNOWN_RESET_MS = 15 * MINUTE_MS;
const MOST_UNKNOWN_RESET_MS = 4 * 60 * MINUTE_MS;

/**
 * Decides what follows from an exit. Pure: `jitter` is 0 to 1, and spreads those who wait for one and the
 * same reset. `revives`: how often in a row a crash is tried again; 0: nothing is, whatever the reason.
 */
export function followUpOf(
  exit: Pick<Exit, "class" | "resetsAt"> & { readonly isReboot: boolean },
  cell: Pick<Cell, "expiresAt">,
  at: { readonly now: number; readonly tries: Tries; readonly revives: number; readonly jitter: number },
): FollowUp {
  const { now, tries, revives } = at;
  const { follows } = EXITS[exit.class];
  if (follows === "publish") return { kind: "publish" };
  if (follows === "ask") return { kind: "ask", latch: null };
  if (revives === 0)
    return { kind: "ask", latch: "nothing is tried again by itself where limits.revives is 0" };
  if (follows === "backoff" && tries.crashes >= revives)
    return {
      kind: "ask",
      latch: `${tries.crashes} automatic ${tries.crashes === 1 ? "retry" : "retries"} failed`,
    };
  const next =
    follows === "at-reset" ? afterReset(exit.resetsAt, at) : now + runBackoffMs(exit.isReboot, tries.crashes);
  if (next < cell.expiresAt) return { kind: "retry", at: next };
  const what = follows === "at-reset" ? "its quota resets" : "it could be tried again";
  const time = `${toIso(next).slice(0, 16).replace("T", " ")} UTC`;
  return { kind: "ask", latch: `${what} only after the end of its TTL, at ${time}` };
}

/** A machine that was started anew crashed nothing of ours: at once. */
function runBackoffMs(isReboot: boolean, earlier: number): number {
  return isReboot ? 0 : Math.min(MOST_BACKOFF_MS, FIRST_BACKOFF_MS * 4 ** earlier);
}

/**
 * Later than it says, the more so the more often it said so in vain: an agent that always says "in 1 s"
 * starts no faster than this.
 */
function afterReset(
  resetsAt: number | null,
  { now, tries, jitter }: { readonly now: number; readonly tries: Tries; readonly jitter: number },
): number {
  const doubled = 2 ** Math.min(tries.quotas, 20);
  if (resetsAt === null)
    return now + Math.round(Math.min(MOST_UNKNOWN_RESET_MS, UNKNOWN_RESET_MS * doubled) * (1 + jitter / 10));
  const wait = Math.max(resetsAt - now, Math.min(MOST_BACKOFF_MS, SECOND_MS * doubled));
  return now + wait + Math.round(jitter * Math.min(MINUTE_MS, wait / 10));
}
