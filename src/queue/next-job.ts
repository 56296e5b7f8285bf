import type { JobKind, QueueName } from "../protocol/jobs.ts";
import { BACKOFF } from "./backoff.ts";

/**
 * A job at which Lazarus was killed so often in a row is what kills it: no other reason lasts. Fewer are not
 * enough: whoever kills it again and again for another reason meets the same long job each time.
 */
export const MOST_KILLS = 10;
/** Before the last of these it is tried, if possible, where nothing else is at work. */
export const ALONE_FROM = MOST_KILLS - 1;
/** It waits for that no longer than this. */
const ALONE_WAIT_MS = 5_000;

/**
 * A look at a thread is never dead of that, since what was typed there would be lost: it is put off instead,
 * by so long.
 */
export const LOOK_AGAIN_MS = 30_000;

/** Nothing is begun beside it for so long: what has not killed us by then does not kill at once. */
export const MOST_ALONE_MS = 60_000;

/** What may be claimed: due at `now` (epoch ms), in no busy lane, of no kind in `skip`. */
export interface Search {
  readonly queue: QueueName;
  readonly now: number;
  readonly busyLanes: readonly string[];
  readonly skip: readonly JobKind[];
  /** Nothing is at work. */
  readonly isAlone: boolean;
}

/** No retry waits longer than this: one that seems to was put off before the wall clock was set back. */
const LONGEST_PAUSE_MS = BACKOFF.capMs * (1 + BACKOFF.jitter);
/**
 * A job that was put so much later than now was put before the wall clock was set back: it has waited long
 * enough.
 */
const SET_BACK_MS = 1_000;
const IS_DUE = `(j.not_before <= @now OR
  CASE j.attempt WHEN 0 THEN j.put_at > @now + ${SET_BACK_MS} ELSE j.not_before > @now + ${LONGEST_PAUSE_MS} END)`;

// Why `holding` is enough: what is due and untried never blocks, it is simply taken first, being earlier in
// the order.
export const NEXT = `
  FROM jobs AS j INDEXED BY jobs_next
  WHERE j.queue = @queue AND j.state = 'waiting' AND ${IS_DUE}
    AND j.lane NOT IN (SELECT value FROM json_each(@busy))
    AND j.kind NOT IN (SELECT value FROM json_each(@skip))
    AND (j.kills < ${ALONE_FROM} OR @alone = 1 OR j.not_before <= @now - ${ALONE_WAIT_MS})
    AND NOT EXISTS (
      SELECT 1 FROM jobs AS b INDEXED BY jobs_holding
      WHERE b.queue = j.queue AND b.lane = j.lane AND (b.state = 'running' OR (b.state = 'waiting' AND b.attempt > 0))
        AND (b.state = 'running' OR b.urgent > j.urgent OR (b.urgent = j.urgent AND b.seq < j.seq)))
  ORDER BY j.urgent DESC, j.rank, j.seq LIMIT 1`;

/** A search as the parameters of `NEXT`. */
export function asParameters(search: Search): Record<string, string | number> {
  return {
    queue: search.queue,
    now: search.now,
    busy: JSON.stringify(search.busyLanes),
    skip: JSON.stringify(search.skip),
    alone: Number(search.isAlone),
  };
}
