import type { JobPayload } from "../../protocol/jobs.ts";
import { isBeingSetUp, isSetupDone } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { notSetUp } from "../setup.ts";
import { endUnbegun } from "../steps/end-unbegun.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import type { ReportDeps } from "./deps.ts";
import { rest } from "./wake.ts";

/** A setup ended. Only one that ended well is followed by the run it was for. */
export function setupEnded(deps: ReportDeps) {
  const { announce, registry, steps } = deps;
  return ({ cellId, run: n, end }: JobPayload<"setup-ended">): void => {
    const cell = registry.mustCell(cellId);
    const run = registry.mustRun(cellId, n);
    // Where somebody stops the run already, the end of that stop is what counts.
    if (!isBeingSetUp(run) || run.setup === null || run.stopped !== null) return;
    const setup = { ...run.setup, end };
    registry.updateRun(cellId, n, { setup });
    registry.update(cellId, { setUpWith: isSetupDone(end) ? setup.digest : null });
    if (isSetupDone(end)) {
      steps.startNow(registry.mustCell(cellId), registry.mustRun(cellId, n));
      steps.card(cellId);
      return;
    }
    const why = notSetUp(end);
    const { endedAt } = end;
    endUnbegun(deps, run, { state: "ended", endedAt, stopped: why, stopCause: "not-set-up" });
    registry.update(cellId, { ...NOTHING_IN_THE_WAY, outcome: "failed" });
    if (cell.state === "active") rest(deps, cell, { who: "lazarus", why });
    if (cell.closing === null)
      announce({ kind: "needs-you", cell: registry.mustCell(cellId), run: registry.mustRun(cellId, n) });
    beginVisit(deps, cellId);
    steps.advance(cellId);
    steps.card(cellId);
    steps.admitWaiting();
  };
}
