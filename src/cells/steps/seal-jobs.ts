import type { CellUserNumbers } from "../../protocol/shapes.ts";
import type { NewJob } from "../../queue/queue.ts";
import type { Cell, Run } from "../cell.ts";
import { LOCAL_RUNNER } from "../runner-jobs.ts";
import { CELL_ATTEMPTS, handleOf, laneOf, PUBLISH_ATTEMPTS } from "./step-jobs.ts";

type User = CellUserNumbers | null;

/** Builds the jobs of a cell's seal: it is made, kept elsewhere too, and brought back. */
export const sealJobs = {
  /** `moves`: how many there were, so that a cell may be sealed again after it was revived. */
  seal: (cell: Cell, last: Run | null, how: { user: User; moves: number }): NewJob<"seal"> => ({
    kind: "seal",
    key: `${cell.id}:seal:${how.moves}`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cell.id),
    payload: {
      cellId: cell.id,
      user: how.user,
      repository: cell.repository,
      baseCommit: cell.baseCommit,
      run: last?.n ?? 0,
      agent: last?.agent ?? null,
      handle: handleOf(last),
    },
  }),

  restore: (cell: Cell, run: Run, user: User): NewJob<"restore"> => ({
    kind: "restore",
    key: `${cell.id}:${run.n}:restore${cell.runner === LOCAL_RUNNER ? "" : `:${cell.runner}`}`,
    maxAttempts: CELL_ATTEMPTS,
    lane: laneOf(cell.id),
    payload: {
      cellId: cell.id,
      run: run.n,
      user,
      repository: cell.repository,
      baseCommit: cell.baseCommit,
      baseRef: cell.baseRef,
      stored: storedOf(cell),
    },
  }),

  /** `place` tells one place to keep seals in from the next. */
  store: (cell: Cell, place: string): NewJob<"store"> => ({
    kind: "store",
    key: `${cell.id}:store:${cell.sealedAt}:${place}`,
    maxAttempts: PUBLISH_ATTEMPTS,
    lane: storeLane(cell.id),
    payload: { cellId: cell.id },
  }),

  /** By the runner that it lay on: there it may wait until that one is back, and holds up nothing else. */
  letGo: (cell: Pick<Cell, "id" | "runner" | "repository">, run: number, key?: string): NewJob<"let-go"> => ({
    kind: "let-go",
    key: key ?? crypto.randomUUID(),
    maxAttempts: PUBLISH_ATTEMPTS,
    lane: letGoLane(cell.id, cell.runner),
    payload: { cellId: cell.id, repository: cell.repository, user: null, on: cell.runner, run },
  }),
};

/** Apart from its cell's: no room where seals are kept holds up nothing else. */
export function storeLane(cellId: string): string {
  return `store:${cellId}`;
}

export function letGoLane(cellId: string, runner: string): string {
  return `let-go:${runner}:${cellId}`;
}

function storedOf(cell: Cell): NewJob<"restore">["payload"]["stored"] {
  if (cell.stored === null) return null;
  const { peopleTip, publishedBranch, branch } = cell;
  const ref = `refs/heads/${publishedBranch ?? branch}`;
  return { digest: cell.stored.digest, theirs: peopleTip === null ? null : { ref, commit: peopleTip } };
}
