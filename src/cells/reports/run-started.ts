import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { putSpare } from "../steps/put-spare.ts";
import type { ReportDeps } from "./deps.ts";
import { healthBegun } from "./health.ts";
import { wake, workingOn } from "./wake.ts";

/** The process of a run began. One that comes for a run that is not awaited any more changes nothing. */
export function runStarted(deps: ReportDeps) {
  const { clock, registry, steps } = deps;
  return (report: JobPayload<"run-started">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    registry.updateRun(cell.id, run.n, {
      state: "running",
      startedAt: report.startedAt,
      handle: report.handle,
      logPath: report.logPath,
      secrets: report.secrets,
    });
    if (report.prompt !== null) registry.prompts.given(run, report.prompt);
    // One that is being scrubbed comes to life no more: its process is ended there.
    const canWake = ["proposed", "idle", "archived"].includes(cell.state);
    if (canWake && !cell.closing?.thenDestroy) {
      registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: "healthy" });
      wake(deps, cell, run);
      steps.mark(cell.id);
    } else if (cell.state === "active") {
      // It was set up for this very run, and has been active since.
      registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: "healthy" });
      const what = { who: run.requester.login, why: workingOn(run) };
      registry.remember(cell.id, { at: clock.now(), from: "active", to: "active", ...what });
      steps.mark(cell.id);
    }
    steps.advance(cell.id);
    steps.card(cell.id);
    if (run.n === 1) putSpare(deps, cell);
    healthBegun(deps, report);
  };
}
