import { LazarusError } from "../errors.ts";
import type { JobRow, Queue } from "./queue.ts";

export const JOB_ACTIONS = ["retry", "drop"] as const;
export type JobAction = (typeof JOB_ACTIONS)[number];

/**
 * Tries a dead job again, or drops one that waits or is dead, by whatever way that was asked. A start that
 * failed has told its cell so, and one that waits holds a place: the verbs are the way to deal with both.
 * @throws LazarusError `usage`, saying what to do instead.
 */
export function changeJob(queue: Pick<Queue, "retry" | "drop">, action: JobAction, job: JobRow): void {
  const short = job.id.slice(0, 8);
  if (action === "retry" && job.kind === "start") {
    throw new LazarusError(
      "usage",
      `jobs retry: the cell has given up on job ${short}; lazarus revive it, or summon again`,
    );
  }
  if (action === "drop" && job.queue === "cells" && job.state !== "dead") {
    throw new LazarusError(
      "usage",
      `jobs drop: job ${short} belongs to a cell at work; lazarus stop it, or close it`,
    );
  }
  const done = action === "retry" ? queue.retry(job.id) : queue.drop(job.id);
  if (!done) throw new LazarusError("usage", `jobs ${action}: job ${short} is ${job.state}`);
}
