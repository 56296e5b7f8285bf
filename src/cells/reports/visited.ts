import type { Harvest } from "../../protocol/shapes.ts";
import type { Cell, Run } from "../cell.ts";
import { exitOf } from "../exit.ts";
import { beginNextTurn } from "../steps/next-turn.ts";
import { beginReviewTurn } from "../steps/review-turn.ts";
import { beginToldTurn } from "../steps/told-turn.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * An observer has looked at a cell's work: its report is posted, and what waited for it goes on. The cell is
 * as it was.
 */
export function visited(
  deps: ReportDeps,
  { cell, run, harvest }: { readonly cell: Cell; readonly run: Run; readonly harvest: Harvest },
): void {
  const { clock, config, registry, steps, announce } = deps;
  const preset = config.agents.get(run.agent)?.preset ?? null;
  const exit = exitOf({ run, preset, harvest, isNew: false });
  registry.updateRun(cell.id, run.n, {
    collectedAt: clock.now(),
    exitClass: exit.class,
    exitWhy: exit.why,
    exitSays: exit.says,
    resetsAt: exit.resetsAt,
  });
  announce({ kind: "visited", cell, run: registry.mustRun(cell.id, run.n), harvest });
  goOnAfterVisit(deps, cell.id, run.n);
  steps.advance(cell.id);
  steps.card(cell.id);
}

/** What waited for a visit to end, in the order that it would have had without. */
export function goOnAfterVisit(deps: ReportDeps, cellId: string, run: number): void {
  const { registry } = deps;
  const { state, closing } = registry.mustCell(cellId);
  if (state !== "idle" || closing !== null || registry.lastRun(cellId)?.n !== run) return;
  const goesOn = beginToldTurn(deps, cellId) || beginVisit(deps, cellId) || beginNextTurn(deps, cellId);
  if (!goesOn) beginReviewTurn(deps, cellId);
}
