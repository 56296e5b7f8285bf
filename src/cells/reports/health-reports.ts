import type { JobPayload } from "../../protocol/jobs.ts";
import type { ReportedDeps } from "./deps.ts";

/** Only of a run in progress can be said how it is. */
export const NO_HEALTH = {
  health: null,
  healthReason: null,
  healthSince: null,
  seenAt: null,
  beat: null,
} as const;

/** What follows from what the pit sees of running runs. */
export function createHealthReports({ registry, steps }: Pick<ReportedDeps, "registry" | "steps">) {
  /** One that comes when its run has ended, or with another run at work, is about nobody. */
  const isAtWork = (cellId: string, n: number) => {
    const cell = registry.cell(cellId);
    const isOpen = cell?.state === "active" || cell?.state === "closing";
    return isOpen && registry.run(cellId, n)?.state === "running";
  };
  return {
    onHealth(report: JobPayload<"health">): void {
      const { cellId, run, health, reason, since, seenAt, beat } = report;
      if (!isAtWork(cellId, run)) return;
      const before = registry.mustCell(cellId);
      registry.update(cellId, { health, healthReason: reason, healthSince: since, seenAt, beat });
      if (before.health === health) steps.cardSoon(cellId);
      else steps.card(cellId);
    },

    /** It runs: until somebody has looked, that is all there is to say. */
    onBegun({
      cellId,
      run,
      startedAt,
    }: Pick<JobPayload<"run-started">, "cellId" | "run" | "startedAt">): void {
      if (!isAtWork(cellId, run) || registry.mustCell(cellId).healthSince !== null) return;
      registry.update(cellId, {
        health: "healthy",
        healthReason: "it has just started",
        healthSince: startedAt,
        seenAt: startedAt,
      });
    },

    onOver(cellId: string): void {
      const last = registry.lastRun(cellId);
      if (last?.state !== "running") registry.update(cellId, NO_HEALTH);
    },
  };
}
