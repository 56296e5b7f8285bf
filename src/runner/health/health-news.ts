import type { JobPayload } from "../../protocol/jobs.ts";

/**
 * Whether a look found what was not told yet. Signs of life come all the time: they are told again when they
 * are half a scan newer.
 */
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
