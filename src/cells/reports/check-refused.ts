import type { JobPayload } from "../../protocol/jobs.ts";
import { goOnChecking } from "./check-ended.ts";
import type { ReportDeps } from "./deps.ts";

/** A check could not even be begun: what comes after it is. */
export function checkRefused(deps: ReportDeps) {
  const { registry, clock } = deps;
  return ({ cellId, check: n, why }: JobPayload<"check-refused">): void => {
    if (registry.checks.one(cellId, n)?.state !== "waiting") return;
    registry.checks.change(cellId, n, { state: "broken", why, endedAt: clock.now() });
    goOnChecking(deps, cellId);
  };
}
