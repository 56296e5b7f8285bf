import { giveUp } from "../steps/give-up.ts";
import type { ReportDeps } from "./deps.ts";

/** The pull request of a closing cell is merged: it is sealed now. No runner says so: control merged it. */
export function merged({ registry, steps }: ReportDeps) {
  return (cellId: string): void => {
    const { closing, state } = registry.mustCell(cellId);
    if (state !== "closing" || closing === null) return;
    registry.update(cellId, { closing: { ...closing, outcome: "merged", isToMerge: false } });
    steps.advance(cellId);
    steps.card(cellId);
  };
}

/** It cannot be merged: the cell is idle again, and whoever asked hears why. */
export function notMerged(deps: ReportDeps) {
  return (cellId: string, why: string): void => {
    const cell = deps.registry.mustCell(cellId);
    if (cell.state === "closing" && cell.closing?.isToMerge) giveUp(deps, cell, why);
  };
}
