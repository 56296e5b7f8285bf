import type { Cell } from "../cell.ts";
import type { StepDeps } from "./deps.ts";
import { sealJobs, storeLane } from "./seal-jobs.ts";

type StoreDeps = Pick<StepDeps, "queue" | "sealsIn">;

/** Has the seal of an archived cell kept by control as well; what was asked of an older seal is over. */
export function putStore({ queue, sealsIn }: StoreDeps, cell: Cell): void {
  if (sealsIn === undefined) return;
  const job = sealJobs.store(cell, sealsIn);
  if (queue.put(job) === "duplicate") queue.retryByKey(job.key);
}

export function endStore({ queue }: Pick<StoreDeps, "queue">, cellId: string, why: string): void {
  queue.end({ lane: storeLane(cellId), kinds: ["store"] }, why);
}
