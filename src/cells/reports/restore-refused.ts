import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { endUnbegun } from "../steps/end-unbegun.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * The archive is damaged, or the forge no longer has what the cell borrows: it stays as it is, and the run
 * with it.
 */
export function restoreRefused(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"restore-refused">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    const why = `not brought back: ${report.why}`;
    endUnbegun(deps, run, { stopped: why, stopCause: "refused" });
    registry.update(cell.id, { ...NOTHING_IN_THE_WAY, notStarted: why });
    steps.card(cell.id);
    steps.admitWaiting();
  };
}
