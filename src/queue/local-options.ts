import type { Clock } from "../clock.ts";
import type { QueueName } from "../protocol/jobs.ts";
import type { Db } from "../store/db.ts";
import type { QueueLog } from "./attempt.ts";

/** What a queue in this process is made of, and how it is paced. */
export interface LocalQueueOptions {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: QueueLog;
  /** For the jitter of retries: 0 to 1. */
  readonly random?: () => number;
  /** How long a lease lasts without being extended; it is extended three times as often. */
  readonly leaseMs?: number;
  /** Handlers at once, per queue; 8 where not said. */
  readonly concurrency?: Partial<Record<QueueName, number>>;
  /** How often to look whether another process has put something. */
  readonly pollMs?: number;
  /** Takes secrets out of error texts before they are kept and logged. */
  readonly redact?: (text: string) => string;
}
