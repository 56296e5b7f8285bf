import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { goOnChecking } from "./check-ended.ts";
import type { ReportDeps } from "./deps.ts";

/** It is known what is to be run on what a cell pushed. */
export function checksPlanned(deps: ReportDeps) {
  const { registry, steps } = deps;
  return ({ cellId, tip, checks, faults, trouble }: JobPayload<"checks-planned">): void => {
    const cell = registry.mustCell(cellId);
    if (cell.state === "destroyed" || cell.publishedTip !== tip || cell.checked?.tip === tip) return;
    registry.update(cellId, {
      ...NOTHING_IN_THE_WAY,
      checked: { tip, plan: checks, faults, trouble, stopped: null },
    });
    if (checks.length > 0 || faults.length > 0 || trouble !== null) steps.showChecks(cellId);
    goOnChecking(deps, cellId);
  };
}
