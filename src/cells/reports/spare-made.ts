import type { JobPayload } from "../../protocol/jobs.ts";
import { LOCAL_RUNNER } from "../runner-jobs.ts";
import type { ReportDeps } from "./deps.ts";

/** The next cell of the repository may have the user of its spare tree. Runners elsewhere have their own. */
export function spareMade({ registry, uids }: ReportDeps) {
  return ({ cellId }: JobPayload<"spare-made">): void => {
    const cell = registry.mustCell(cellId);
    if (cell.runner === LOCAL_RUNNER) uids.spareIsMade(cellId);
  };
}
