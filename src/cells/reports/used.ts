import type { JobPayload } from "../../protocol/jobs.ts";
import { mostOf, type Usage } from "../../protocol/usage.ts";
import { amountOf, budgetOfCell, budgetOfRun, usedUp } from "../budget.ts";
import type { Run } from "../cell.ts";
import type { ReportDeps } from "./deps.ts";

/** What a run at work has used so far. Over its budget, or its cell's, it is stopped, and keeps its work. */
export function used(deps: ReportDeps) {
  const { registry, config, steps } = deps;
  return (report: JobPayload<"used">): void => {
    const run = registry.run(report.cellId, report.run);
    if (run?.state !== "running") return;
    noteUsed(deps, run, report.usage);
    const cell = registry.mustCell(report.cellId);
    const now = registry.mustRun(run.cellId, run.n);
    const ofRun = usedUp(budgetOfRun(now, config));
    const ofCell = usedUp(budgetOfCell(cell, registry.runs(cell.id), config));
    const over = ofRun ?? ofCell;
    if (over !== null) {
      const whose = ofRun === null ? "the cell" : "a run";
      const why = `over its budget of ${amountOf(over.kind, over.most)} for ${whose}`;
      if (now.stopCause === null) steps.putStop(cell, now, { cause: "over-limit", why });
    }
    steps.cardSoon(cell.id);
  };
}

/** What was told once stays told: a log that was cut since tells less. */
export function noteUsed({ registry }: Pick<ReportDeps, "registry">, run: Run, told: Usage): void {
  registry.updateRun(run.cellId, run.n, mostOf(run, told));
}
