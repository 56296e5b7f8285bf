import type { JobPayload } from "../../protocol/jobs.ts";
import type { Run } from "../cell.ts";
import { type ExitClass, exitOf } from "../exit.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { outcomeOf } from "../steps/decide.ts";
import { beginToldTurn } from "../steps/told-turn.ts";
import { createAfterExit } from "./after-exit.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * Whether what people told the agent must wait: it could not work on it now, or somebody wants it to rest.
 */
function isHeld(exit: ExitClass, run: Pick<Run, "stopCause">): boolean {
  const cannot: readonly ExitClass[] = ["quota", "not-logged-in", "no-credit", "cannot-run"];
  return cannot.includes(exit) || run.stopCause === "asked";
}

/** What a run left was taken out of its cell. */
export function collected(deps: ReportDeps) {
  const { clock, config, registry, steps } = deps;
  const afterExit = createAfterExit(deps);
  return (report: JobPayload<"collected">): void => {
    const run = registry.mustRun(report.cellId, report.run);
    const cell = registry.mustCell(report.cellId);
    const { state } = cell;
    if (run.state !== "ended" || run.collectedAt !== null || state === "archived" || state === "destroyed")
      return;
    const { harvest } = report;
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
    });
    registry.update(report.cellId, {
      harvest,
      outcome: outcomeOf(exit.class, harvest),
      ...NOTHING_IN_THE_WAY,
      pushRefused: null,
    });
    // Where somebody has asked for the next run already, or closes the cell, that is what follows.
    const isLast = registry.lastRun(cell.id)?.n === run.n;
    const mayGoOn = isLast && state === "idle" && cell.closing === null;
    if (mayGoOn && (isHeld(exit.class, run) || !beginToldTurn(deps, cell.id)))
      afterExit.follow(cell, run, { exit, harvest });
    steps.advance(report.cellId);
    steps.card(report.cellId);
  };
}
