import type { Handlers } from "../queue/queue.ts";
import type { Lifecycle } from "./lifecycle.ts";

type Reports = Pick<
  Handlers,
  | "run-started"
  | "run-refused"
  | "run-ended"
  | "over-limit"
  | "log-cut"
  | "collected"
  | "pushed"
  | "push-refused"
  | "sealed"
  | "scrubbed"
>;

/** Handlers of what runners report: each is one change of the registry, in the transaction that ends its job. */
export function createReportHandlers(lifecycle: Lifecycle): Reports {
  return {
    "run-started": async (job) => () => lifecycle.onRunStarted(job.payload),
    "run-refused": async (job) => () => lifecycle.onRunRefused(job.payload),
    "run-ended": async (job) => () => lifecycle.onRunEnded(job.payload),
    "over-limit": async (job) => () => lifecycle.onOverLimit(job.payload),
    "log-cut": async (job) => () => lifecycle.onLogCut(job.payload),
    collected: async (job) => () => lifecycle.onCollected(job.payload),
    pushed: async (job) => () => lifecycle.onPushed(job.payload),
    "push-refused": async (job) => () => lifecycle.onPushRefused(job.payload),
    sealed: async (job) => () => lifecycle.onSealed(job.payload),
    scrubbed: async (job) => () => lifecycle.onScrubbed(job.payload),
  };
}
