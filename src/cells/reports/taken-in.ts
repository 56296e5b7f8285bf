import type { JobPayload } from "../../protocol/jobs.ts";
import type { PeoplePush } from "../../protocol/shapes.ts";
import type { Cell } from "../cell.ts";
import type { CellChange } from "../registry/cell-row.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * The runner looked for what people pushed to the branch. What they made is theirs from now on: the next push
 * goes on top of it.
 */
export function takenIn(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"taken-in">): void => {
    const { people } = report;
    const cell = registry.mustCell(report.cellId);
    const run = registry.mustRun(report.cellId, report.run);
    if (cell.state === "destroyed" || cell.closing?.thenDestroy) return;
    if (people !== null) registry.updateRun(cell.id, run.n, { people });
    if (people?.isTaken) registry.update(cell.id, onTopOf(cell, people));
    if (run.state === "admitted")
      steps.startNow(registry.mustCell(cell.id), registry.mustRun(cell.id, run.n));
    else if (cell.state === "archived") steps.putAway(run);
  };
}

/** What people made of a cell's work stands where that work stood, also for what was let go of it. */
function onTopOf(cell: Cell, { branch, from, tip }: PeoplePush): CellChange {
  const { harvest, releasedTip } = cell;
  return {
    peopleTip: tip,
    publishedTip: tip,
    publishedBranch: branch,
    ...(harvest?.tip === from ? { harvest: { ...harvest, tip } } : {}),
    ...(releasedTip === from ? { releasedTip: tip } : {}),
  };
}
