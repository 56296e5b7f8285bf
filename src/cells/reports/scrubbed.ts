import type { JobPayload } from "../../protocol/jobs.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import type { ReportDeps } from "./deps.ts";

/** Nothing of a cell is left on disk. */
export function scrubbed(deps: ReportDeps) {
  const { announce, clock, registry, steps, uids } = deps;
  return (report: JobPayload<"scrubbed">): void => {
    const cell = registry.mustCell(report.cellId);
    // No file and no process of it is left, also where it was never made.
    uids.release(cell.id);
    const closing = cell.closing;
    if (!closing?.thenDestroy || cell.state === "destroyed") return;
    const run = registry.lastRun(cell.id);
    if (run?.state === "running" || run?.state === "admitted") {
      registry.updateRun(cell.id, run.n, {
        state: "ended",
        endedAt: clock.now(),
        stopped: `destroyed by ${closing.by}`,
        stopCause: "destroyed",
      });
    }
    if (cell.state === "active" || cell.state === "idle") {
      const why = `destroyed by force by ${closing.by}`;
      registry.move(cell.id, { from: cell.state, to: "closing", who: closing.by, why });
    }
    if (cell.state !== "archived") {
      registry.move(cell.id, {
        from: cell.state === "proposed" ? "proposed" : "closing",
        to: "archived",
        who: closing.by,
        why: "discarded by force, not sealed",
      });
      registry.update(cell.id, { outcome: "discarded" });
      if (cell.state === "proposed")
        announce({ kind: "never-began", cell, why: "discarded by force", isNews: false });
    }
    registry.move(cell.id, {
      from: "archived",
      to: "destroyed",
      who: closing.by,
      why: closing.by === "lazarus" ? "its retention passed: scrubbed from disk" : "scrubbed from disk",
    });
    registry.update(cell.id, {
      ...NOTHING_IN_THE_WAY,
      ...{ closing: null, health: null, harvest: null, directoryTrouble: null, stored: null },
    });
    deps.unkeep?.(cell.id);
    registry.prompts.forget(cell.id);
    steps.card(cell.id);
    steps.admitWaiting();
  };
}
