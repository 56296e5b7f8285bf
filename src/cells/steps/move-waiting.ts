import { mayMove } from "../stored-seal.ts";
import type { StepDeps } from "./deps.ts";
import { givePlace } from "./give-place.ts";
import { sealJobs } from "./seal-jobs.ts";
import { laneOf } from "./step-jobs.ts";

/**
 * Cells that wait to be brought back on a runner that is away go to another one, where one has a place, in
 * the caller's transaction.
 */
export function moveWaiting(deps: StepDeps, runner: string): void {
  const { registry, queue, uids, place } = deps;
  for (const id of registry.runners.cellsOf(runner)) {
    const [cell, run] = [registry.mustCell(id), registry.lastRun(id)];
    if (place === undefined || run?.state !== "admitted" || !mayMove(cell)) continue;
    const found = place(cell, run);
    if ("why" in found || found.runner === runner) continue;
    const wasSent = queue.end({ lane: laneOf(id), kinds: ["restore"] }, `${runner} is away`) > 0;
    if (!givePlace(deps, run) || !wasSent) continue;
    queue.put(sealJobs.restore(registry.mustCell(id), run, uids.of(id)));
  }
}
