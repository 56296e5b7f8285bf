import { toIso } from "../clock.ts";
import type { JobRow } from "./queue.ts";

/** A job as programs see it: times in RFC 3339. */
export function viewOfJob({ maxAttempts, putAt, notBefore, endedAt, inOutage, ...job }: JobRow): object {
  return {
    ...job,
    max_attempts: maxAttempts,
    in_outage: inOutage,
    put_at: toIso(putAt),
    not_before_at: toIso(notBefore),
    ended_at: endedAt === null ? null : toIso(endedAt),
  };
}
