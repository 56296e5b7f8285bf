import type { Run } from "../cell.ts";
import { isPlaced } from "../placing.ts";
import { LOCAL_RUNNER } from "../runner-jobs.ts";
import type { StepDeps } from "./deps.ts";

type PlaceDeps = Pick<StepDeps, "registry" | "uids" | "place">;

/** Gives a run its runner, in the caller's transaction; false where none has a place for it. */
export function givePlace({ registry, uids, place }: PlaceDeps, run: Run): boolean {
  if (place === undefined) return true;
  const cell = registry.mustCell(run.cellId);
  const found = place(cell, run);
  if ("why" in found) return false;
  if (found.runner !== cell.runner && !isPlaced(cell, run)) {
    registry.update(cell.id, { runner: found.runner });
    // Users are of one machine: a runner gives its cells its own.
    if (found.runner !== LOCAL_RUNNER) uids.release(cell.id);
  }
  return true;
}

/**
 * Why no runner has a place for a run that waits, and the how-manyth it is; null: it does not wait for
 * that.
 */
export function lackOfPlace(
  { registry, place }: PlaceDeps,
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
