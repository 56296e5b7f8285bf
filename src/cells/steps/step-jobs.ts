import type { JobKind } from "../../protocol/jobs.ts";
import type { CellSpec, CellUserNumbers, MissionUpdate } from "../../protocol/shapes.ts";
import type { NewJob } from "../../queue/queue.ts";
import { pastOrNever } from "../card-shown.ts";
import type { Cell, Run } from "../cell.ts";
import { isLost } from "../lost.ts";

/** A disk may be full for hours: at five minutes apart that is about eight of them. */
export const CELL_ATTEMPTS = 100;

/** A forge may be down for hours: at five minutes apart that is most of a day. */
export const PUBLISH_ATTEMPTS = 200;

/** A card is edited no more often than this for what only its agent says. */
export const CALM_MS = 5 * 60_000;

/** So many words of an agent are gathered first. */
const SOON_MS = 30_000;

type User = CellUserNumbers | null;

/**
 * Builds the jobs that cells need, each under its key: a step's is said once, what may be asked again bears a
 * fresh one.
 */
export const stepJobs = {
  admit: (run: Run): NewJob<"admit"> => ({
    kind: "admit",
    key: `${run.cellId}:${run.n}:admit`,
    lane: laneOf(run.cellId),
    payload: { cellId: run.cellId, run: run.n },
  }),

  /** Asked for a second time once its cell is set up. */
  start: (
    run: Run,
    cell: CellSpec,
    has: Pick<NewJob<"start">["payload"], "prompt" | "setUpWith" | "isAsked" | "budgetUsd">,
  ): NewJob<"start"> => ({
    kind: "start",
    key: `${run.cellId}:${run.n}:start${run.setup === null ? "" : ":set-up"}`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(run.cellId),
    payload: {
      ...{ cell, run: run.n, agent: run.agent, role: run.role },
      ...has,
      isSetUp: run.setup !== null,
      turn: run.turn,
    },
  }),

  /** `on`: what the forge has of the cell. */
  takeIn: (cell: Cell, run: Run, on: { branch: string; tip: string; user: User }): NewJob<"take-in"> => ({
    kind: "take-in",
    key: `${cell.id}:${run.n}:take-in`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cell.id),
    payload: {
      cellId: cell.id,
      run: run.n,
      repository: cell.repository,
      user: on.user,
      agent: run.agent,
      branch: on.branch,
      tip: on.tip,
      baseCommit: cell.baseCommit,
    },
  }),

  /**
   * Whoever asks again, because the first one came to nothing, is heard again; while one waits it serves for
   * all.
   */
  stop: (run: Run, user: User, why: string): NewJob<"stop"> => ({
    kind: "stop",
    key: crypto.randomUUID(),
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(run.cellId),
    urgent: true,
    payload: { cellId: run.cellId, user, run: run.n, handle: handleOf(run), why },
    merge: {
      tag: `stop:${run.cellId}:${run.n}`,
      fold: (waiting, fresh) => ({ ...fresh, why: waiting.why }),
    },
  }),

  collect: (
    cell: Cell,
    run: Run,
    how: Pick<NewJob<"collect">["payload"], "user" | "seams" | "secrets" | "asked" | "untouched">,
  ): NewJob<"collect"> => ({
    kind: "collect",
    key: `${cell.id}:${run.n}:collect`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cell.id),
    payload: {
      cellId: cell.id,
      ...how,
      run: run.n,
      repository: cell.repository,
      ...{ agent: run.agent, role: run.role, turn: run.turn },
      branch: cell.branch,
      baseCommit: cell.baseCommit,
      handle: handleOf(run),
      endedAt: run.endedAt,
      // What was published once with a director's word is in the target already.
      fork: cell.publishedTip === null ? cell.fork : null,
    },
  }),

  /** `asked` tells one asking from the next, so that what was refused can be tried again. */
  publish: (run: Run, tip: string, asked: string): NewJob<"publish"> => ({
    kind: "publish",
    key: `${run.cellId}:${run.n}:publish:${tip}:${asked}`,
    lane: `push:${run.cellId}`,
    payload: { cellId: run.cellId, run: run.n, tip, asked },
    maxAttempts: PUBLISH_ATTEMPTS,
  }),

  push: (cell: Cell, what: NewJob<"publish">["payload"]): NewJob<"push"> => ({
    kind: "push",
    key: `${cell.id}:${what.run}:push:${what.tip}:${what.asked}`,
    lane: `push:${cell.id}`,
    payload: {
      cellId: cell.id,
      run: what.run,
      repository: cell.repository,
      branch: cell.publishedBranch ?? cell.branch,
      tip: what.tip,
      lease: knownTip(cell),
      theirs: cell.peopleTip,
    },
    maxAttempts: PUBLISH_ATTEMPTS,
  }),

  /** `asked` tells one reason to look from the next. */
  unpublish: (cell: Cell, asked: string): NewJob<"unpublish"> => ({
    kind: "unpublish",
    key: `${cell.id}:unpublish:${cell.publishedTip}:${asked}`,
    lane: `draft:${cell.id}`,
    payload: { cellId: cell.id },
    maxAttempts: PUBLISH_ATTEMPTS,
  }),

  deleteBranch: (
    cell: Cell,
    what: { readonly branch: string; readonly tip: string },
  ): NewJob<"delete-branch"> => ({
    kind: "delete-branch",
    key: crypto.randomUUID(),
    lane: `push:${cell.id}`,
    payload: { cellId: cell.id, repository: cell.repository, ...what },
    maxAttempts: PUBLISH_ATTEMPTS,
  }),

  draft: (cellId: string, what: string): NewJob<"draft"> => ({
    kind: "draft",
    key: `${cellId}:draft:${what}`,
    lane: `draft:${cellId}`,
    payload: { cellId },
    maxAttempts: 100,
  }),

  merge: (cellId: string, tip: string, moves: number): NewJob<"merge"> => ({
    kind: "merge",
    key: `${cellId}:merge:${tip}:${moves}`,
    lane: `draft:${cellId}`,
    payload: { cellId, tip },
    maxAttempts: 30,
  }),

  review: (cell: Pick<Cell, "id" | "pullRequest">): NewJob<"review"> => ({
    kind: "review",
    key: `${cell.id}:review:${cell.pullRequest}`,
    lane: `review:${cell.id}`,
    payload: { cellId: cell.id },
  }),

  /** Nobody is asked for a review any more; `moves` tells one closing from the next. */
  endReviews: (cellId: string, moves: number): NewJob<"review"> => ({
    kind: "review",
    key: `${cellId}:end-reviews:${moves}`,
    lane: `review:${cellId}`,
    payload: { cellId, isOver: true },
  }),

  answers: (cellId: string, turn: number): NewJob<"answers"> => ({
    kind: "answers",
    key: `${cellId}:${turn}:answers`,
    lane: `answers:${cellId}`,
    payload: { cellId, turn },
    maxAttempts: PUBLISH_ATTEMPTS,
  }),

  /** One that still waits serves as well, and the sooner of both times holds. `notBefore`: epoch ms. */
  card: (cellId: string, notBefore?: number): NewJob<"card"> => ({
    kind: "card",
    ...(notBefore === undefined ? {} : { notBefore }),
    key: crypto.randomUUID(),
    lane: `card:${cellId}`,
    payload: { cellId },
    merge: { tag: `card:${cellId}`, fold: (waiting) => waiting },
    maxAttempts: 300,
  }),

  /** For what only its agent says. */
  cardSoon: (cell: Pick<Cell, "id" | "cardShown">, now: number): NewJob<"card"> => {
    const calmUntil = pastOrNever(cell.cardShown?.wordsAt ?? 0, now) + CALM_MS;
    return stepJobs.card(cell.id, Math.max(now + SOON_MS, calmUntil));
  },

  mark: (cellId: string, mission: MissionUpdate): NewJob<"mark"> => ({
    kind: "mark",
    key: crypto.randomUUID(),
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cellId),
    payload: { cellId, mission },
    merge: { tag: `mark:${cellId}`, fold: (_waiting, fresh) => fresh },
  }),

  prune: (cellId: string, moves: number, mission: MissionUpdate): NewJob<"prune"> => ({
    kind: "prune",
    key: `${cellId}:prune:${moves}`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cellId),
    payload: { cellId, mission, run: null },
  }),

  /** Puts away again what was brought back, or made anew, for a run that came to nothing. */
  putAway: (
    run: Run,
    cell: Cell,
    { user, mission }: { readonly user: User; readonly mission: MissionUpdate },
  ): NewJob<"prune"> | NewJob<"scrub"> => {
    const [cellId, lane] = [run.cellId, laneOf(run.cellId)];
    const said = { key: `${cellId}:${run.n}:prune`, lane, maxAttempts: CELL_ATTEMPTS };
    if (!isLost(cell) && cell.stored?.isOnly !== true)
      return { ...said, kind: "prune", payload: { cellId, mission, run: run.n } };
    return { ...said, kind: "scrub", payload: { cellId, user, repository: cell.repository, handle: null } };
  },

  /** `what` tells one asking from the next. */
  scrub: (cell: Cell, last: Run | null, how: { user: User; what: string }): NewJob<"scrub"> => ({
    kind: "scrub",
    key: `${cell.id}:${how.what}`,
    lane: laneOf(cell.id),
    payload: { cellId: cell.id, user: how.user, repository: cell.repository, handle: handleOf(last) },
  }),

  /** A cell that was never made leaves nothing on disk, not even half of it. */
  sweep: (cell: Cell, user: User): NewJob<"scrub"> => ({
    kind: "scrub",
    key: `${cell.id}:unmade`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cell.id),
    payload: { cellId: cell.id, user, repository: cell.repository, handle: null },
  }),
};

/** What the cell's branch holds on the forge as far as we know; null: it does not exist there. */
export function knownTip(cell: Pick<Cell, "publishedTip" | "delivery" | "baseCommit">): string | null {
  return cell.publishedTip ?? (cell.delivery === "branch" ? cell.baseCommit : null);
}

/** The lane in which everything that touches a cell's directory waits. */
export function laneOf(cellId: string): string {
  return `cell:${cellId}`;
}

export function handleOf(run: Run | null): Record<string, unknown> | null {
  return run?.handle == null ? null : { ...run.handle };
}

/** What need not be done any more in a cell that is to be scrubbed. */
export const BEFORE_SCRUB: readonly JobKind[] = [
  ...(["start", "admit", "stop", "collect", "seal", "restore", "take-in", "prune", "mark"] as const),
  ...(["plan-checks", "check", "end-check"] as const),
];
