import type { Clock } from "../clock.ts";
import type { QueueName } from "../protocol/jobs.ts";
import type { NamedLease } from "./job-row.ts";

/** A job that a handler of this process is at work on. */
export interface AtWork {
  readonly claim: NamedLease;
  readonly queue: QueueName;
  readonly lane: string;
  readonly abort: AbortController;
  readonly settled: Promise<void>;
  readonly aloneUntil: number;
  /** A runner on another host does it. */
  readonly isElsewhere: boolean;
}

/** Without what a runner elsewhere does: that goes on there, and is asked for at the next start. */
export function here(running: ReadonlyMap<string, AtWork>): AtWork[] {
  return [...running.values()].filter((one) => !one.isElsewhere);
}

/** Waits until all of these have settled, or for so long. */
export async function settledOrLate(jobs: readonly AtWork[], clock: Clock, mostMs: number): Promise<void> {
  if (jobs.length === 0) return;
  let cancel = () => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(mostMs, resolve);
  });
  await Promise.race([late, Promise.allSettled(jobs.map((one) => one.settled))]);
  cancel();
}
