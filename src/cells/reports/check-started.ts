import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import type { ReportDeps } from "./deps.ts";

/** The process of a check began. One that is not awaited any more is being ended already. */
export function checkStarted(deps: ReportDeps) {
  const { registry, steps } = deps;
  return ({ cellId, check: n, handle, startedAt, limitMs }: JobPayload<"check-started">): void => {
    const check = registry.checks.one(cellId, n);
    if (check?.state !== "waiting") return;
    registry.checks.change(cellId, n, { state: "running", handle, startedAt, limitMs });
    registry.update(cellId, { ...NOTHING_IN_THE_WAY, health: null });
    if (registry.mustCell(cellId).state === "idle") {
      const why = `checking ${check.tip.slice(0, 10)}`;
      registry.move(cellId, { from: "idle", to: "active", who: "lazarus", why });
      steps.mark(cellId);
    }
    steps.card(cellId);
  };
}
