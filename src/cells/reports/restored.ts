import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportDeps } from "./deps.ts";

/** An archived cell was brought back for a run. */
export function restored(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"restored">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (cell.state !== "archived" || cell.closing?.thenDestroy) return;
    const { stored } = cell;
    registry.update(cell.id, {
      ...{ setUpWith: null, stored: stored === null ? null : { ...stored, isOnly: false } },
    });
    if (run.state === "admitted") steps.startRestored(registry.mustCell(cell.id), run);
    else steps.putAway(run);
  };
}
