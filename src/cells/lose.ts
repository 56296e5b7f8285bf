import type { Cell } from "./cell.ts";
import { takeFromRunner } from "./leave-runner.ts";
import { LOCAL_RUNNER } from "./runner-jobs.ts";
import type { StepDeps } from "./steps/deps.ts";
import { endUnbegun } from "./steps/end-unbegun.ts";
import { settleItems } from "./steps/give-items.ts";
import { dropMessages } from "./steps/give-messages.ts";
import { BEFORE_SCRUB, laneOf } from "./steps/step-jobs.ts";
import type { Steps } from "./steps/steps.ts";
import { mayMove } from "./stored-seal.ts";

/**
 * Gives up a cell whose runner never comes back, in the caller's transaction: what it pushed stays, and
 * nothing of it is waited for any more. One whose seal control keeps can be brought back from that.
 */
export function loseCell(
  deps: StepDeps & { readonly steps: Pick<Steps, "keep" | "card" | "admitWaiting"> },
  cellId: string,
  { who, why }: { readonly who: string; readonly why: string },
): void {
  const { registry, queue, clock, steps } = deps;
  const cell = registry.mustCell(cellId);
  queue.end({ lane: laneOf(cellId), kinds: BEFORE_SCRUB }, why);
  queue.end({ lane: `push:${cellId}`, kinds: ["publish", "push"] }, why);
  dropMessages(deps, cellId, why);
  const now = clock.now();
  const last = registry.lastRun(cellId);
  if (last?.state === "running" || last?.state === "admitted") {
    const state = last.startedAt === null ? "withdrawn" : "ended";
    registry.updateRun(cellId, last.n, { state, endedAt: now, collectedAt: now, stopped: why });
    settleItems(registry, last, false);
  } else if (last?.state === "waiting") endUnbegun(deps, last, { stopped: why });
  for (const one of registry.checks.of(cellId))
    if (one.endedAt === null) registry.checks.change(cellId, one.n, { state: "lost", endedAt: now, why });
  const { state } = cell;
  if (mayMove(cell)) {
    takeFromRunner(deps, registry.mustCell(cellId));
    steps.card(cellId);
    steps.admitWaiting();
    return;
  }
  if (state === "active" || state === "idle") registry.move(cellId, { from: state, to: "closing", who, why });
  if (state !== "archived")
    registry.move(cellId, { from: state === "proposed" ? "proposed" : "closing", to: "archived", who, why });
  registry.update(cellId, {
    ...{
      outcome: outcomeOf(cell),
      sealedAt: null,
      closing: null,
      stored: null,
      health: null,
      stuck: null,
      setUpWith: null,
    },
    // What was made and not pushed is gone, and whatever was said of it.
    harvest: cell.harvest?.tip === cell.publishedTip ? cell.harvest : null,
    ...{ pushRefused: null, releasedTip: null, divertedFrom: null, logCut: null, notClosed: null },
    // Nothing of it is anywhere: whoever destroys it has nothing to do.
    ...{
      runner: LOCAL_RUNNER,
      runnerTrouble: null,
      directoryTrouble: null,
      notStarted: null,
      waitsForApproval: false,
    },
  });
  steps.keep(cellId);
  steps.card(cellId);
  steps.admitWaiting();
}

/** Of one that was never made nothing is lost, and what people made of a draft stays. */
function outcomeOf({ state, sealedAt, outcome }: Cell): Cell["outcome"] {
  const isUnmade = state === "archived" && sealedAt === null;
  return isUnmade || outcome === "merged" || outcome === "rejected" ? outcome : "lost";
}
