import type { JobPayload } from "../../protocol/jobs.ts";
import { isVisit } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { endUnbegun } from "../steps/end-unbegun.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import { createAfterExit } from "./after-exit.ts";
import type { ReportDeps } from "./deps.ts";
import { goOnAfterVisit } from "./visited.ts";
import { neverBegan, rest } from "./wake.ts";

/** A run cannot be started, and trying again will not help. */
export function runRefused(deps: ReportDeps) {
  const afterExit = createAfterExit(deps);
  const { registry, steps, announce } = deps;
  return (report: JobPayload<"run-refused">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    endUnbegun(deps, run, { state: "ended", stopped: report.why, stopCause: "refused" });
    if (isVisit(run)) {
      announce({ kind: "visited", cell, run: registry.mustRun(cell.id, run.n), harvest: null });
      if (cell.state === "active") rest(deps, cell, { who: "lazarus", why: report.why });
      goOnAfterVisit(deps, cell.id, run.n);
      steps.card(cell.id);
      steps.advance(cell.id);
      steps.admitWaiting();
      return;
    }
    registry.update(cell.id, {
      ...NOTHING_IN_THE_WAY,
      notStarted: report.why,
      ...(cell.state === "archived" ? {} : { outcome: "failed" }),
    });
    if (cell.state === "archived") steps.putAway(run);
    if (cell.state === "proposed") {
      registry.move(cell.id, { from: "proposed", to: "archived", who: "lazarus", why: report.why });
      steps.keep(cell.id);
      steps.sweepDirectory(cell);
      neverBegan(deps, cell.id, report.why, true);
    }
    if (cell.state === "active") rest(deps, cell, { who: "lazarus", why: report.why });
    if (run.isAutomatic && cell.state === "idle") afterExit.refused(cell.id, run, report.why);
    beginVisit(deps, cell.id);
    steps.card(cell.id);
    steps.advance(cell.id);
    steps.admitWaiting();
  };
}
