import type { Cell } from "../cell.ts";
import { giveUp } from "../steps/give-up.ts";
import { checkRefused } from "./check-refused.ts";
import { checksPlanned } from "./checks-planned.ts";
import type { ReportDeps } from "./deps.ts";
import { restoreRefused } from "./restore-refused.ts";
import { runRefused } from "./run-refused.ts";

/** A job of a cell that failed: it is tried again at `retryAt` (epoch ms), or never by itself (null). */
export interface StuckJob {
  readonly cellId: string;
  readonly kind: string;
  readonly run: number | null;
  readonly check?: number | null;
  readonly why: string;
  readonly retryAt: number | null;
}

/**
 * A job failed. What can never be done is refused where that is possible; else the cell says what is in its
 * way.
 */
export function stuck(deps: ReportDeps) {
  const { registry, steps } = deps;
  const refused = runRefused(deps);
  const notRestored = restoreRefused(deps);
  const notChecked = checkRefused(deps);
  const notPlanned = checksPlanned(deps);
  /** A cell whose time is up is sealed without what failed; only a seal that fails keeps it. */
  const closeOrGiveUp = (cell: Cell, { kind, why }: StuckJob): void => {
    if (cell.closing?.outcome !== "expired" || cell.closing.discard || kind === "seal") {
      giveUp(deps, cell, why);
      return;
    }
    registry.update(cell.id, { closing: { ...cell.closing, discard: true } });
    steps.advance(cell.id);
  };
  return (job: StuckJob): void => {
    const cell = registry.mustCell(job.cellId);
    // A tree that waits is for another cell.
    if (cell.state === "destroyed" || job.kind === "spare") return;
    if (job.retryAt === null && ["start", "admit", "take-in"].includes(job.kind) && job.run !== null) {
      refused({ cellId: cell.id, run: job.run, why: job.why });
      return;
    }
    if (job.retryAt === null && job.kind === "check" && job.check != null) {
      notChecked({ cellId: cell.id, check: job.check, why: job.why });
      return;
    }
    if (job.retryAt === null && job.kind === "plan-checks" && cell.publishedTip !== null) {
      const nothing = { checks: [], faults: [], trouble: job.why };
      notPlanned({ cellId: cell.id, tip: cell.publishedTip, ...nothing });
      return;
    }
    if (job.retryAt === null && job.kind === "restore" && job.run !== null) {
      notRestored({ cellId: cell.id, run: job.run, why: job.why });
      return;
    }
    registry.update(cell.id, { stuck: { job: job.kind, why: job.why, isOver: job.retryAt === null } });
    if (job.retryAt === null && cell.state === "closing" && job.kind !== "scrub") closeOrGiveUp(cell, job);
    // A run may wait for that look.
    if (job.retryAt === null && job.kind === "collect") steps.admitWaiting();
    steps.card(cell.id);
  };
}
