import { checksOf } from "../../config/repository-checks.ts";
import { type Cell, isResting, type Run } from "../cell.ts";
import {
  basisOf,
  type Check,
  type CheckResult,
  type CheckWork,
  isValid,
  nextCheck,
  resultsOf,
  spentOn,
} from "../check.ts";
import { checkJobs } from "./check-jobs.ts";
import type { StepDeps } from "./deps.ts";
import { laneOf } from "./step-jobs.ts";

/** What a person reads where there was no time left for a check. */
const NO_TIME = "no time was left of limits.checks";

/**
 * What is run on what cells pushed: which checks there are is asked first, then one runs after the other. All
 * methods are synchronous and join the caller's transaction.
 */
export class Checking {
  readonly #deps: Omit<StepDeps, "announce">;

  constructor(deps: StepDeps) {
    this.#deps = deps;
  }

  /** Whether there are checks for what this cell pushed last, or nobody has looked yet whether there are. */
  isWanted(cell: Cell): boolean {
    if (cell.publishedTip === null || cell.publishedTip !== cell.harvest?.tip) return false;
    return cell.checked?.tip === cell.publishedTip || this.areConfigured(cell);
  }

  /** Whether there are any for what this cell pushes, as far as our own configuration tells. */
  areConfigured(cell: Pick<Cell, "repository">): boolean {
    const checks = checksOf(this.#deps.config.checks, cell.repository.fullName);
    return checks !== null && (checks.from === "branch" || checks.checks.size > 0);
  }

  /** Whether all of them are through, or there are none. */
  areOver(cell: Cell): boolean {
    if (!this.isWanted(cell)) return true;
    const { checked } = cell;
    if (checked === null || checked.tip !== cell.publishedTip) return false;
    const work = this.#workOf(cell, checked.tip);
    return (
      !work.rows.some(({ state }) => state === "waiting" || state === "running") &&
      nextCheck(checked, work) === null
    );
  }

  /** What came of each; empty where there are none, or nobody has looked yet. */
  results(cell: Cell): CheckResult[] {
    const { checked } = cell;
    return checked === null ? [] : resultsOf(checked, this.#workOf(cell, checked.tip));
  }

  /** Puts the next job for a cell of which all is published, and in which nothing else is at work. */
  advance(cell: Cell, last: Run | null): void {
    if (last === null || last.state === "admitted" || last.state === "running") return;
    if (!isResting(cell, last) || cell.closing !== null || !this.isWanted(cell)) return;
    const { queue, uids, registry } = this.#deps;
    const { checked, publishedTip: tip } = cell;
    const user = uids.of(cell.id);
    if (tip === null) return;
    if (checked?.tip !== tip) {
      const asked = String(registry.checks.of(cell.id).length);
      const job = checkJobs.plan(cell, tip, { user, asked });
      if (queue.put(job) === "duplicate") queue.retryByKey(job.key);
      return;
    }
    for (;;) {
      const work = this.#workOf(cell, tip);
      const next = nextCheck(checked, work);
      if (next === null) return;
      const commit = next.side === "tip" ? tip : cell.baseCommit;
      const { name, digest } = next.plan;
      const { agent } = last;
      const row = { cellId: cell.id, tip, name, side: next.side, commit, agent };
      const n = registry.checks.add({ ...row, basis: basisOf(checked, next.plan) });
      const mostMs = this.#deps.config.limits.checksMs - spentOn(work.rows);
      if (mostMs > 0) {
        queue.put(checkJobs.check(cell, { ...row, n }, { user, digest, mostMs }));
        return;
      }
      registry.checks.change(cell.id, n, { state: "timed-out", why: NO_TIME });
    }
  }

  /**
   * A run begins: what is at work on what was pushed before ends, and is done again where the run changes
   * nothing.
   */
  giveWay(cellId: string): void {
    const { registry } = this.#deps;
    const cell = registry.mustCell(cellId);
    const { checked } = cell;
    if (checked === null || this.areOver(cell)) return;
    // Of a plan that nothing was begun of there is nothing to clear away: it holds.
    if (!this.#workOf(cell, checked.tip).rows.some(isValid)) return;
    const run = registry.lastRun(cellId);
    this.#end(cell, { state: "superseded", why: `${run?.agent ?? cell.agent} goes on` });
    registry.checks.supersede(cellId, checked.tip);
    registry.update(cellId, { checked: null });
    this.#deps.queue.put(checkJobs.statuses(cellId));
  }

  /** Ends them for good: a person wants it. False where none is at work. */
  stop(cellId: string, why: string): boolean {
    const cell = this.#deps.registry.mustCell(cellId);
    if (cell.checked === null || !isResting(cell, this.#deps.registry.lastRun(cellId)) || this.areOver(cell))
      return false;
    this.#deps.registry.update(cellId, { checked: { ...cell.checked, stopped: why } });
    this.#end(cell, { state: "stopped", why });
    return true;
  }

  #end(
    cell: Cell,
    how: Pick<Check, "why"> & { readonly state: "superseded" | "stopped"; readonly why: string },
  ): void {
    const { registry, queue, uids, clock } = this.#deps;
    queue.end({ lane: laneOf(cell.id), kinds: ["plan-checks", "check"] }, how.why);
    const check = registry.checks.atWork(cell.id);
    if (check !== null) {
      registry.checks.change(cell.id, check.n, { ...how, endedAt: clock.now() });
      queue.put(checkJobs.end(check, uids.of(cell.id), how.why));
    }
    if (cell.state !== "active") return;
    registry.move(cell.id, { from: "active", to: "idle", who: "lazarus", why: `checks ended: ${how.why}` });
  }

  #workOf(cell: Cell, tip: string): CheckWork {
    const { checks } = this.#deps.registry;
    return {
      rows: checks.of(cell.id, tip),
      known: (basis) => checks.known(cell.repository.id, cell.baseCommit, basis),
    };
  }
}
