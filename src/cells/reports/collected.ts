import type { JobPayload } from "../../protocol/jobs.ts";
import { type BudgetConfig, budgetOfRun, usedUp } from "../budget.ts";
import { type Cell, isVisit, type Run } from "../cell.ts";
import { EXITS, type ExitClass, exitOf } from "../exit.ts";
import { leftBy } from "../handoff.ts";
import { isInterrupted, wordsPrompt } from "../prompt.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beforeOf } from "../registry/before.ts";
import { isRetryInLine, outcomeOf } from "../steps/decide.ts";
import { settleItems } from "../steps/give-items.ts";
import { beginNextTurn } from "../steps/next-turn.ts";
import { beginReviewTurn } from "../steps/review-turn.ts";
import { beginToldTurn } from "../steps/told-turn.ts";
import { beginVisit } from "../steps/visit-turn.ts";
import { createAfterExit } from "./after-exit.ts";
import type { ReportDeps } from "./deps.ts";
import { noteUsed } from "./used.ts";
import { visited } from "./visited.ts";

/**
 * Whether what people told the agent must wait: it could not work on it now, its run used up its budget, or
 * somebody wants it to rest.
 */
function isHeld(exit: ExitClass, run: Run, config: Pick<BudgetConfig, "agents">): boolean {
  const cannot: readonly ExitClass[] = ["quota", "not-logged-in", "no-credit", "cannot-run"];
  const isOverBudget = exit === "over-limit" && usedUp(budgetOfRun(run, config)) !== null;
  return cannot.includes(exit) || run.stopCause === "asked" || isOverBudget;
}

/** What a run left was taken out of its cell. */
export function collected(deps: ReportDeps) {
  const { clock, config, registry, steps } = deps;
  const afterExit = createAfterExit(deps);

  /** What its agent was asked is over, unless it tries again by itself. */
  function settlePoints(run: Run, exit: ExitClass): void {
    const last = registry.lastRun(run.cellId);
    if (last !== null && isRetryInLine(last) && last.turn === run.turn) return;
    settleItems(registry, run, !isInterrupted(exit));
  }

  /** A run that was asked for before the last one was looked at: how that ended is known only now. */
  function sayAnew(cell: Cell): void {
    const next = registry.lastRun(cell.id);
    if (next === null || next.turnKind !== "revive" || next.state !== "waiting") return;
    const { from, said } = registry.prompts.of(next);
    registry.prompts.change(next, wordsPrompt(from, said, beforeOf(cell, registry, next.agent, next.n)));
  }

  return (report: JobPayload<"collected">): void => {
    const run = registry.mustRun(report.cellId, report.run);
    const cell = registry.mustCell(report.cellId);
    const { state } = cell;
    if (run.state !== "ended" || run.collectedAt !== null || state === "archived" || state === "destroyed")
      return;
    const { harvest } = report;
    if (report.usage !== undefined) noteUsed(deps, run, report.usage);
    if (isVisit(run)) {
      visited(deps, { cell, run, harvest });
      return;
    }
    const exit = exitOf({
      run,
      preset: config.agents.get(run.agent)?.preset ?? null,
      harvest,
      isNew:
        harvest.tip === null
          ? harvest.changed
          : harvest.tip !== cell.harvest?.tip && harvest.tip !== cell.peopleTip,
    });
    registry.updateRun(report.cellId, report.run, {
      collectedAt: clock.now(),
      exitClass: exit.class,
      exitWhy: exit.why,
      exitSays: exit.says,
      resetsAt: exit.resetsAt,
      left: leftBy(harvest, report.packet ?? null, cell.harvest?.tip ?? null),
    });
    registry.update(report.cellId, {
      harvest,
      outcome: outcomeOf(exit.class, harvest),
      ...NOTHING_IN_THE_WAY,
      pushRefused: null,
    });
    // Where somebody has asked for the next run already, or closes the cell, that is what follows.
    const isLast = registry.lastRun(cell.id)?.n === run.n;
    if (!isLast) sayAnew(registry.mustCell(cell.id));
    const mayGoOn = isLast && state === "idle" && cell.closing === null;
    const mayBeTold = mayGoOn && !isHeld(exit.class, registry.mustRun(run.cellId, run.n), config);
    for (const answer of report.answers ?? []) registry.items.found(cell.id, answer);
    const isWell = EXITS[exit.class].follows === "publish";
    const isVisited = () => isWell && beginVisit(deps, cell.id);
    const goesOn = mayBeTold && (beginToldTurn(deps, cell.id) || isVisited() || beginNextTurn(deps, cell.id));
    if (mayGoOn && !goesOn) afterExit.follow(cell, run, { exit, harvest });
    settlePoints(run, exit.class);
    if (mayBeTold) beginReviewTurn(deps, cell.id);
    // A review waits for others; whoever only looks needs not.
    if (mayGoOn) beginVisit(deps, cell.id);
    if (!isLast) steps.admitWaiting();
    steps.advance(report.cellId);
    steps.card(report.cellId);
  };
}
