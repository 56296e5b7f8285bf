import type { ReportDeps } from "./deps.ts";

/** The draft of a cell is open on the forge. No runner says so: control opened it itself. */
export function drafted(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (cellId: string, pullRequest: number, repository: string): void => {
    if (registry.mustCell(cellId).state === "destroyed") return;
    registry.update(cellId, { pullRequest, pullRequestRepository: repository, stuck: null });
    steps.advance(cellId);
    steps.card(cellId);
  };
}
