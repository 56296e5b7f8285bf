import type { CheckEnd } from "../../protocol/checks.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import { isResting } from "../cell.ts";
import type { CheckState } from "../check.ts";
import { beginFixTurn } from "../steps/fix-turn.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import type { ReportDeps } from "./deps.ts";
import { rest } from "./wake.ts";

/** A check ended, by itself or because Lazarus ended it. */
export function checkEnded(deps: ReportDeps) {
  const { registry } = deps;
  return ({ cellId, check: n, end }: JobPayload<"check-ended">): void => {
    const check = registry.checks.one(cellId, n);
    if (check === null) return;
    const { endedAt, code, tail, refusedHosts, leftovers } = end;
    // Of one that was stopped it is only of interest whether it could be.
    if (check.state !== "running" && check.state !== "waiting") {
      registry.checks.change(cellId, n, { leftovers });
      return;
    }
    const change = { ...stateOf(end), endedAt, code, tail, refusedHosts, leftovers };
    registry.checks.change(cellId, n, change);
    goOnChecking(deps, cellId);
  };
}

/** What came of a check, by how its process ended. Pure. */
function stateOf(end: CheckEnd): { readonly state: CheckState; readonly why: string | null } {
  if (end.isOverTime) return { state: "timed-out", why: end.stopped };
  if (end.stopped !== null) return { state: "broken", why: end.stopped };
  if (end.isOutOfMemory) return { state: "broken", why: "it ran out of memory" };
  if (end.signal !== null) return { state: "failed", why: `ended by signal ${end.signal}` };
  if (end.code === null) return { state: "lost", why: "gone without an exit record" };
  if (end.code === 126) return { state: "broken", why: "a command may not be run (exit 126)" };
  if (end.code === 127) return { state: "broken", why: "a command was not found (exit 127)" };
  return { state: end.code === 0 ? "passed" : "failed", why: null };
}

/** Has the next check begin, or what follows from all of them. */
export function goOnChecking(deps: ReportDeps, cellId: string): void {
  const { registry, steps } = deps;
  const isOver = () => steps.checks.areOver(registry.mustCell(cellId));
  if (!isOver()) steps.advance(cellId);
  if (!isOver()) {
    steps.card(cellId);
    return;
  }
  const cell = registry.mustCell(cellId);
  if (cell.state === "active" && isResting(cell, registry.lastRun(cellId)))
    rest(deps, cell, { who: "lazarus", why: `checked ${cell.checked?.tip.slice(0, 10) ?? ""}` });
  if (!beginFixTurn(deps, cellId)) beginVisit(deps, cellId);
  steps.advance(cellId);
  steps.showChecks(cellId);
  steps.card(cellId);
  steps.admitWaiting();
}
