import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportedDeps } from "./deps.ts";
import { createHealthReports } from "./health-reports.ts";
import { createRunReports } from "./run-reports.ts";
import { createWorkReports } from "./work-reports.ts";

/**
 * What follows from what runners report. Each is called in the transaction that ends the report's job; one that comes late, or twice,
 * changes nothing.
 */
export type Reported = ReturnType<typeof createReported>;

/** Wires what follows from reports to one registry. */
export function createReported(deps: ReportedDeps) {
  const { registry, steps } = deps;
  const runs = createRunReports(deps);
  const { onHealth, onBegun, onOver } = createHealthReports(deps);
  return {
    ...runs,
    ...createWorkReports(deps),
    onHealth,

    onRunStarted(report: JobPayload<"run-started">): void {
      runs.onRunStarted(report);
      onBegun(report);
    },

    onRunEnded(report: JobPayload<"run-ended">): void {
      runs.onRunEnded(report);
      onOver(report.cellId);
    },

    /** A cell job failed: it is tried again at `retryAt`, or never by itself (null). */
    onStuck(job: {
      cellId: string;
      kind: string;
      run: number | null;
      why: string;
      retryAt: number | null;
    }): void {
      const cell = registry.mustCell(job.cellId);
      if (cell.state === "destroyed") return;
      if (job.retryAt === null && ["start", "admit", "take-in"].includes(job.kind) && job.run !== null) {
        runs.onRunRefused({ cellId: cell.id, run: job.run, why: job.why });
        return;
      }
      if (job.retryAt === null && job.kind === "restore" && job.run !== null) {
        runs.onRestoreRefused({ cellId: cell.id, run: job.run, why: job.why });
        return;
      }
      registry.update(cell.id, { stuck: { job: job.kind, why: job.why, isOver: job.retryAt === null } });
      if (job.retryAt === null && cell.state === "closing" && job.kind !== "scrub")
        steps.giveUp(cell, job.why);
      steps.card(cell.id);
    },
  };
}
