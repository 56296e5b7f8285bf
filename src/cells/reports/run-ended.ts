import type { JobPayload } from "../../protocol/jobs.ts";
import { isBeingSetUp } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { cutShort } from "../setup.ts";
import { settleItems } from "../steps/give-items.ts";
import { beginToldTurn } from "../steps/told-turn.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import type { ReportDeps } from "./deps.ts";
import { NO_HEALTH } from "./health.ts";
import { neverBegan, rest, wake } from "./wake.ts";

/** A run ended, by itself or because Lazarus ended it; or it was ended before it began. */
export function runEnded(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"run-ended">): void => {
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (run.state !== "running" && run.state !== "admitted") return;
    const leftovers = report.leftovers.map((one) => `${one.pid} ${one.command}`);
    registry.updateRun(cell.id, run.n, {
      state: "ended",
      ...(report.began && run.startedAt === null ? { startedAt: run.createdAt } : {}),
      // Nothing ends before it began, whatever the clocks of its host say.
      endedAt: Math.max(report.endedAt, run.startedAt ?? report.endedAt),
      code: report.code,
      signal: report.signal,
      stopped: report.stopped,
      ...(report.stopped === null ? { stopCause: null } : {}),
      leftovers,
      refusedHosts: report.refusedHosts,
      ...(isBeingSetUp(run) && run.setup !== null ? { setup: cutShort(run.setup, report) } : {}),
    });
    if (run.startedAt === null && !report.began) settleItems(registry, run, false);
    registry.update(cell.id, { ...NOTHING_IN_THE_WAY, health: null });
    const isArchived = cell.state === "archived" && !cell.closing?.thenDestroy;
    // It began, but was ended before anybody reported that: what it did meanwhile counts all the same.
    if (
      report.began &&
      (cell.state === "proposed" || ((cell.state === "idle" || isArchived) && run.state === "admitted"))
    )
      wake(deps, cell, run);
    else if (isArchived) steps.putAway(run);
    if (registry.mustCell(cell.id).state === "active") {
      rest(deps, cell, { who: run.agent, why: endOf(report) });
    }
    if (registry.mustCell(cell.id).state === "proposed") {
      registry.update(cell.id, { outcome: "discarded", notStarted: report.stopped });
      registry.move(cell.id, {
        from: "proposed",
        to: "archived",
        who: run.requester.login,
        why: endOf(report),
      });
      steps.keep(cell.id);
      steps.sweepDirectory(cell);
      neverBegan(deps, cell.id, endOf(report), false);
    }
    steps.advance(cell.id);
    // One that was ended before it began leaves nothing to be looked at first.
    if (run.stopCause === "told") beginToldTurn(deps, cell.id);
    beginVisit(deps, cell.id);
    steps.card(cell.id);
    steps.admitWaiting();
    if (registry.lastRun(cell.id)?.state !== "running") registry.update(cell.id, NO_HEALTH);
  };
}

function endOf(report: Pick<JobPayload<"run-ended">, "code" | "signal" | "stopped">): string {
  if (report.stopped !== null) return report.stopped;
  if (report.signal !== null) return `ended by signal ${report.signal}`;
  return report.code === null ? "gone without a trace" : `exit ${report.code}`;
}
