import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import type { ReportDeps } from "./deps.ts";

/** The forge does not take it, and trying again will not help. */
export function pushRefused(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"push-refused">): void => {
    const cell = registry.mustCell(report.cellId);
    if (cell.state === "archived" || cell.state === "destroyed") return;
    registry.update(report.cellId, { ...NOTHING_IN_THE_WAY, pushRefused: report.why });
    beginVisit(deps, report.cellId);
    steps.advance(report.cellId);
    steps.card(report.cellId);
  };
}
