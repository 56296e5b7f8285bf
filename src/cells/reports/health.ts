import type { JobPayload } from "../../protocol/jobs.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
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
    const told = sameWords(before.beat, beat) ? before.beat : beat;
    registry.update(cellId, { health, healthReason: reason, healthSince: since, seenAt, beat: told });
    if (before.health !== health) steps.card(cellId);
    else if (told !== before.beat || (health !== "healthy" && reason !== before.healthReason))
      steps.cardSoon(cellId);
  };
}

/** What an agent says again is told with the time at which it said so first. */
function sameWords(one: AgentBeat | null, other: AgentBeat | null): boolean {
  if (one === null || other === null) return one === other;
  const words = ({ at: _, ...said }: AgentBeat) => JSON.stringify(Object.entries(said).sort());
  return words(one) === words(other);
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
