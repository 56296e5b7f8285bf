import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * How a run at work is. One that comes when its run has ended, or with another run at work, is about nobody.
 */
export function health(deps: ReportDeps) {
  const { registry, steps } = deps;
  return (report: JobPayload<"health">): void => {
    const { cellId, run, health, reason, since, seenAt, beat } = report;
    if (!isAtWork(deps, cellId, run)) return;
    const before = registry.mustCell(cellId);
    registry.update(cellId, { health, healthReason: reason, healthSince: since, seenAt, beat });
    if (before.health === health) steps.cardSoon(cellId);
    else steps.card(cellId);
  };
}

/** Only of a run in progress can be said how it is. */
export const NO_HEALTH = {
  health: null,
  healthReason: null,
  healthSince: null,
  seenAt: null,
  beat: null,
} as const;

/** It runs: until somebody has looked, that is all there is to say. */
export function healthBegun(
  deps: Pick<ReportDeps, "registry">,
  { cellId, run, startedAt }: Pick<JobPayload<"run-started">, "cellId" | "run" | "startedAt">,
): void {
  const { registry } = deps;
  if (!isAtWork(deps, cellId, run) || registry.mustCell(cellId).healthSince !== null) return;
  registry.update(cellId, {
    health: "healthy",
    healthReason: "it has just started",
    healthSince: startedAt,
    seenAt: startedAt,
  });
}

function isAtWork({ registry }: Pick<ReportDeps, "registry">, cellId: string, n: number): boolean {
  const cell = registry.cell(cellId);
  const isOpen = cell?.state === "active" || cell?.state === "closing";
  return isOpen && registry.run(cellId, n)?.state === "running";
}
