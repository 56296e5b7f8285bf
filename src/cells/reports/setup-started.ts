import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { shortCommand } from "../setup.ts";
import type { ReportDeps } from "./deps.ts";
import { wake } from "./wake.ts";

/** A cell is being set up for a run. */
export function setupStarted(deps: ReportDeps) {
  const { registry, steps } = deps;
  return ({ cellId, run: n, setup }: JobPayload<"setup-started">): void => {
    const cell = registry.mustCell(cellId);
    const run = registry.mustRun(cellId, n);
    if (run.state !== "admitted" || run.setup !== null) return;
    registry.updateRun(cellId, n, { setup: { ...setup, end: null } });
    const canWake = ["proposed", "idle", "archived"].includes(cell.state);
    if (canWake && !cell.closing?.thenDestroy) {
      registry.update(cellId, { ...NOTHING_IN_THE_WAY, setUpWith: null });
      wake(deps, cell, run, `setting up: ${shortCommand(setup)}`);
      steps.mark(cellId);
    }
    steps.advance(cellId);
    steps.card(cellId);
  };
}
