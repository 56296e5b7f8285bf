import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * The archive is damaged, or the forge no longer has what the cell borrows: it stays as it is, and the run
 * with it.
 */
export function restoreRefused(deps: ReportDeps) {
  const { clock, registry, steps } = deps;
  return (report: JobPayload<"restore-refused">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    const why = `not brought back: ${report.why}`;
    registry.updateRun(cell.id, run.n, {
      ...{ state: "withdrawn", endedAt: clock.now() },
      ...{ stopped: why, stopCause: "refused" },
    });
    registry.update(cell.id, { ...NOTHING_IN_THE_WAY, notStarted: why });
    steps.card(cell.id);
    steps.admitWaiting();
  };
}
