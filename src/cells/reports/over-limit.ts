import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportDeps } from "./deps.ts";

/** A run used more than it may: it is stopped. */
export function overLimit(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"over-limit">): void => {
    const run = registry.mustRun(report.cellId, report.run);
    const stop = { cause: "over-limit", why: report.why } as const;
    if (run.state === "running") steps.putStop(registry.mustCell(report.cellId), run, stop);
  };
}
