import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { wantsDraft } from "../steps/decide.ts";
import type { ReportDeps } from "./deps.ts";

/** What a cell made is on the forge. */
export function pushed(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"pushed">): void => {
    const cell = registry.mustCell(report.cellId);
    if (cell.state === "destroyed") return;
    registry.update(cell.id, {
      publishedTip: report.tip,
      publishedBranch: report.branch,
      pushRefused: null,
      ...NOTHING_IN_THE_WAY,
      divertedFrom: report.divertedFrom,
    });
    // A branch that people moved is left to them: what was made meanwhile goes beside it, as a draft of its
    // own.
    if (report.divertedFrom !== null && cell.publishedBranch !== report.branch)
      registry.update(cell.id, { pullRequest: null, pullRequestRepository: null });
    steps.advance(cell.id);
    if (cell.pullRequest !== null && wantsDraft(registry.mustCell(cell.id)))
      steps.putDraft(cell.id, `update:${report.tip}`);
    steps.card(cell.id);
  };
}
