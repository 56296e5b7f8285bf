import type { Cell } from "./cell.ts";
import { LOCAL_RUNNER } from "./runner-jobs.ts";
import type { StepDeps } from "./steps/deps.ts";
import { sealJobs } from "./steps/seal-jobs.ts";
import { BEFORE_SCRUB, laneOf } from "./steps/step-jobs.ts";
import { endStore } from "./steps/store-seal.ts";
import { mayMove } from "./stored-seal.ts";

/**
 * Gives a cell that may move to nobody, in the caller's transaction; its runner removes what it has of it.
 */
export function takeFromRunner(
  deps: Pick<StepDeps, "registry" | "queue" | "uids" | "left">,
  cell: Cell,
): void {
  const { registry, uids } = deps;
  if (!mayMove(cell) || cell.stored.isOnly) return;
  leaveRunner(deps, cell);
  uids.release(cell.id);
  registry.update(cell.id, {
    ...{ runner: LOCAL_RUNNER, stored: { ...cell.stored, isOnly: true } },
    ...{ runnerTrouble: null, directoryTrouble: null, stuck: null },
  });
}

/** A run that is asked for goes on where it is brought back. */
const ON_A_RUNNER = BEFORE_SCRUB.filter((kind) => kind !== "admit");

/** What waits for its old runner is over but that it removes what is left. */
export function leaveRunner(
  { registry, queue, left }: Pick<StepDeps, "registry" | "queue" | "left">,
  cell: Cell,
): void {
  const why = `the cell left the runner ${cell.runner}`;
  queue.end({ lane: laneOf(cell.id), kinds: ON_A_RUNNER }, why);
  endStore({ queue }, cell.id, why);
  queue.put(sealJobs.letGo(cell, registry.lastRun(cell.id)?.n ?? 0));
  left?.(cell.id, cell.runner);
}
