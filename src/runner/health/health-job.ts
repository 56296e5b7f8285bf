import type { JobPayload } from "../../protocol/jobs.ts";
import type { NewJob } from "../../queue/queue.ts";
import { formatSize } from "../../units.ts";

/** Whether a look found what was not told yet. Signs of life come all the time: they are told again when they are half a scan newer. */
export function isNews(now: JobPayload<"health">, told: JobPayload<"health">, scanMs: number): boolean {
  return (
    now.health !== told.health ||
    now.reason !== told.reason ||
    now.beat?.at !== told.beat?.at ||
    now.beat?.state !== told.beat?.state ||
    now.beat?.message !== told.beat?.message ||
    now.beat?.progress !== told.beat?.progress ||
    Math.abs(now.seenAt - told.seenAt) >= scanMs / 2
  );
}

/** Only how it is now is of interest: a report that still waits becomes this one. */
export function healthJob(payload: JobPayload<"health">): NewJob<"health"> {
  return {
    kind: "health",
    key: crypto.randomUUID(),
    lane: `cell:${payload.cellId}`,
    payload,
    merge: { tag: `health:${payload.cellId}`, fold: (_waiting, fresh) => fresh },
  };
}

/** Said once of a run: what its agents left is more than they may fill. */
export function overDiskJob(
  of: { readonly cellId: string; readonly run: number },
  usedBytes: number,
  diskBytes: number,
): NewJob<"over-limit"> {
  return {
    kind: "over-limit",
    key: `${of.cellId}:${of.run}:over-disk`,
    lane: `cell:${of.cellId}`,
    payload: { ...of, why: `over its disk: ${formatSize(usedBytes)} of ${formatSize(diskBytes)}` },
  };
}
