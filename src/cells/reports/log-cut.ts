import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportDeps } from "./deps.ts";

/** The log of a run grew over its limit and was cut in its middle. */
export function logCut(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"log-cut">): void => {
    if (registry.mustRun(report.cellId, report.run).state !== "running") return;
    registry.update(report.cellId, { logCut: { run: report.run, bytes: report.bytes } });
    steps.card(report.cellId);
  };
}
