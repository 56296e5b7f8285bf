import type { Handlers } from "../../queue/queue.ts";
import type { Reported } from "./reported.ts";

type Reports = Pick<
  Handlers,
  | "run-started"
  | "setup-started"
  | "setup-ended"
  | "run-refused"
  | "run-ended"
  | "over-limit"
  | "log-cut"
  | "health"
  | "collected"
  | "pushed"
  | "push-refused"
  | "sealed"
  | "restored"
  | "taken-in"
  | "restore-refused"
  | "scrubbed"
>;

/**
 * Handlers of what runners report: each is one change of the registry, in the transaction that ends its job. `onStarted` is called with each start: whoever reported
 * it may have been killed since, and then nobody watches the run.
 */
export function createReportHandlers(
  reported: Reported,
  onStarted: (run: { readonly cellId: string; readonly run: number }) => void,
): Reports {
  return {
    "run-started": async (job) => () => {
      reported.onRunStarted(job.payload);
      onStarted(job.payload);
    },
    "setup-started": async (job) => () => {
      reported.onSetupStarted(job.payload);
      onStarted(job.payload);
    },
    "setup-ended": async (job) => () => reported.onSetupEnded(job.payload),
    "run-refused": async (job) => () => reported.onRunRefused(job.payload),
    "run-ended": async (job) => () => reported.onRunEnded(job.payload),
    "over-limit": async (job) => () => reported.onOverLimit(job.payload),
    "log-cut": async (job) => () => reported.onLogCut(job.payload),
    health: async (job) => () => reported.onHealth(job.payload),
    collected: async (job) => () => reported.onCollected(job.payload),
    pushed: async (job) => () => reported.onPushed(job.payload),
    "push-refused": async (job) => () => reported.onPushRefused(job.payload),
    sealed: async (job) => () => reported.onSealed(job.payload),
    restored: async (job) => () => reported.onRestored(job.payload),
    "taken-in": async (job) => () => reported.onTakenIn(job.payload),
    "restore-refused": async (job) => () => reported.onRestoreRefused(job.payload),
    scrubbed: async (job) => () => reported.onScrubbed(job.payload),
  };
}
