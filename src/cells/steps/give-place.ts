import type { Run } from "../cell.ts";
import { leaveRunner } from "../leave-runner.ts";
import { isPlaced } from "../placing.ts";
import { LOCAL_RUNNER } from "../runner-jobs.ts";
import { mayMove } from "../stored-seal.ts";
import type { StepDeps } from "./deps.ts";
import { letGoLane } from "./seal-jobs.ts";

type PlaceDeps = Pick<StepDeps, "registry" | "queue" | "uids" | "place" | "left">;

/** Gives a run its runner, in the caller's transaction; false where none has a place for it. */
export function givePlace(deps: PlaceDeps, run: Run): boolean {
  const { registry, queue, uids, place } = deps;
  if (place === undefined) return true;
  const cell = registry.mustCell(run.cellId);
  const found = place(cell, run);
  if ("why" in found) return false;
  const { runner } = found;
  const isStored = mayMove(cell);
  if (runner === cell.runner || (isPlaced(cell, run) && !isStored)) return true;
  registry.update(cell.id, { runner, ...(isStored ? { runnerTrouble: null, directoryTrouble: null } : {}) });
  // Users are of one machine: a runner gives its cells its own.
  if (runner !== LOCAL_RUNNER) uids.release(cell.id);
  else if (isStored && !uids.give(cell.id, cell.repository.id)) {
    registry.update(cell.id, { runner: cell.runner });
    return false;
  }
  if (isPlaced(cell, run)) leaveRunner(deps, cell);
  queue.end({ lane: letGoLane(cell.id, runner), kinds: ["let-go"] }, "the cell comes back there");
  return true;
}

/**
 * Why no runner has a place for a run that waits, and the how-manyth it is; null: it does not wait for
 * that.
 */
export function lackOfPlace(
  { registry, place }: Pick<StepDeps, "registry" | "place">,
  run: Run,
  now: number,
): { readonly limit: string; readonly place: number } | null {
  const cell = registry.cell(run.cellId);
  const isDue = run.notBefore === null || run.notBefore <= now;
  if (place === undefined || run.state !== "waiting" || !isDue || cell === null || cell.waitsForApproval)
    return null;
  const found = place(cell, run);
  if ("runner" in found) return null;
  const line = registry.openRuns(["waiting"]).filter((one) => one.notBefore === null || one.notBefore <= now);
  return {
    limit: found.why,
    place: line.findIndex((one) => one.cellId === run.cellId && one.n === run.n) + 1,
  };
}
