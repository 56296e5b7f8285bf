import type { JobPayload } from "../queue/jobs.ts";
import type { Cell } from "./cell.ts";
import { outcomeOf, wantsDraft } from "./decide.ts";
import type { Registry } from "./registry.ts";
import type { StepDeps, Steps } from "./steps.ts";

/** What people must hear of in a new comment, besides the card. */
export type Announcement = {
  readonly kind: "closed";
  readonly cell: Cell;
  readonly by: string;
  readonly person: string | null;
};

export interface ReportedDeps extends Pick<StepDeps, "registry" | "uids" | "clock"> {
  readonly steps: Steps;
  /** Called in the transaction of the change that is announced. */
  announce(announcement: Announcement): void;
}

/**
 * What follows from what runners report. Each method is called in the transaction that ends the report's job; one that comes late, or twice,
 * changes nothing.
 */
export class Reported {
  readonly #deps: ReportedDeps;

  constructor(deps: ReportedDeps) {
    this.#deps = deps;
  }

  get #registry(): Registry {
    return this.#deps.registry;
  }

  get #steps(): Steps {
    return this.#deps.steps;
  }

  onRunStarted(report: JobPayload<"run-started">): void {
    const cell = this.#registry.mustCell(report.cellId);
    const run = this.#registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    this.#registry.updateRun(cell.id, run.n, {
      state: "running",
      startedAt: report.startedAt,
      handle: report.handle,
      logPath: report.logPath,
    });
    // One that is being scrubbed comes to life no more: its process is ended there.
    if ((cell.state === "proposed" || cell.state === "idle") && !cell.closing?.thenDestroy) {
      this.#registry.update(cell.id, { health: "healthy", reason: null });
      this.#registry.move(cell.id, {
        from: cell.state,
        to: "active",
        who: run.requester.login,
        why: `working: ${run.agent}`,
      });
      this.#steps.mark(cell.id);
    }
    this.#steps.advance(cell.id);
    this.#steps.card(cell.id);
  }

  onRunRefused(report: JobPayload<"run-refused">): void {
    const cell = this.#registry.mustCell(report.cellId);
    const run = this.#registry.mustRun(report.cellId, report.run);
    if (run.state !== "admitted") return;
    this.#registry.updateRun(cell.id, run.n, {
      state: "ended",
      endedAt: this.#deps.clock.now(),
      stopped: report.why,
    });
    this.#registry.update(cell.id, { reason: report.why, outcome: "failed" });
    if (cell.state === "proposed") {
      this.#registry.move(cell.id, { from: "proposed", to: "archived", who: "lazarus", why: report.why });
      this.#steps.sweepDirectory(cell);
    }
    this.#steps.card(cell.id);
    this.#steps.advance(cell.id);
    this.#steps.admitWaiting();
  }

  onRunEnded(report: JobPayload<"run-ended">): void {
    const cell = this.#registry.mustCell(report.cellId);
    const run = this.#registry.mustRun(report.cellId, report.run);
    if (run.state !== "running" && run.state !== "admitted") return;
    const leftovers = report.leftovers.map((one) => `${one.pid} ${one.command}`);
    this.#registry.updateRun(cell.id, run.n, {
      state: "ended",
      ...(report.began && run.startedAt === null ? { startedAt: run.createdAt } : {}),
      endedAt: report.endedAt,
      code: report.code,
      signal: report.signal,
      stopped: report.stopped,
      leftovers,
      refusedHosts: report.refusedHosts,
    });
    this.#registry.update(cell.id, { health: null, reason: null });
    // It began, but was ended before anybody reported that: what it did meanwhile counts all the same.
    if (report.began && (cell.state === "proposed" || (cell.state === "idle" && run.state === "admitted"))) {
      this.#registry.move(cell.id, {
        from: cell.state,
        to: "active",
        who: run.requester.login,
        why: `working: ${run.agent}`,
      });
    }
    if (this.#registry.mustCell(cell.id).state === "active") {
      this.#registry.move(cell.id, { from: "active", to: "idle", who: run.agent, why: endOf(report) });
      this.#steps.mark(cell.id);
    }
    if (this.#registry.mustCell(cell.id).state === "proposed") {
      this.#registry.update(cell.id, { outcome: "discarded", reason: report.stopped });
      this.#registry.move(cell.id, {
        from: "proposed",
        to: "archived",
        who: run.requester.login,
        why: endOf(report),
      });
      this.#steps.sweepDirectory(cell);
    }
    this.#steps.advance(cell.id);
    this.#steps.card(cell.id);
    this.#steps.admitWaiting();
  }

  onOverLimit(report: JobPayload<"over-limit">): void {
    const run = this.#registry.mustRun(report.cellId, report.run);
    if (run.state === "running") this.#steps.putStop(this.#registry.mustCell(report.cellId), run, report.why);
  }

  onLogCut(report: JobPayload<"log-cut">): void {
    if (this.#registry.mustRun(report.cellId, report.run).state !== "running") return;
    this.#registry.update(report.cellId, {
      reason: `the log of run ${report.run} grew over its limit: ${report.bytes} bytes were cut out of its middle, the run goes on`,
    });
    this.#steps.card(report.cellId);
  }

  onCollected(report: JobPayload<"collected">): void {
    const run = this.#registry.mustRun(report.cellId, report.run);
    const { state } = this.#registry.mustCell(report.cellId);
    if (run.state !== "ended" || run.collectedAt !== null || state === "archived" || state === "destroyed")
      return;
    this.#registry.updateRun(report.cellId, report.run, { collectedAt: this.#deps.clock.now() });
    this.#registry.update(report.cellId, {
      harvest: report.harvest,
      outcome: outcomeOf(run, report.harvest),
      reason: null,
      pushRefused: null,
    });
    this.#steps.advance(report.cellId);
    this.#steps.card(report.cellId);
  }

  onPushed(report: JobPayload<"pushed">): void {
    const cell = this.#registry.mustCell(report.cellId);
    if (cell.state === "destroyed") return;
    this.#registry.update(cell.id, {
      publishedTip: report.tip,
      publishedBranch: report.branch,
      pushRefused: null,
      reason: null,
    });
    // A branch that people moved is left to them: what was made meanwhile goes beside it, as a draft of its own.
    if (report.divertedFrom !== null) {
      this.#registry.update(cell.id, {
        reason: `somebody pushed to ${report.divertedFrom} meanwhile: this went to ${report.branch}`,
      });
      if (cell.publishedBranch !== report.branch)
        this.#registry.update(cell.id, { pullRequest: null, pullRequestRepository: null });
    }
    this.#steps.advance(cell.id);
    if (cell.pullRequest !== null && wantsDraft(this.#registry.mustCell(cell.id)))
      this.#steps.putDraft(cell.id, `update:${report.tip}`);
    this.#steps.card(cell.id);
  }

  onPushRefused(report: JobPayload<"push-refused">): void {
    const cell = this.#registry.mustCell(report.cellId);
    if (cell.state === "archived" || cell.state === "destroyed") return;
    this.#registry.update(report.cellId, { pushRefused: report.why, reason: `not published: ${report.why}` });
    this.#steps.advance(report.cellId);
    this.#steps.card(report.cellId);
  }

  onDrafted(cellId: string, pullRequest: number, repository: string): void {
    if (this.#registry.mustCell(cellId).state === "destroyed") return;
    this.#registry.update(cellId, { pullRequest, pullRequestRepository: repository });
    const { reason } = this.#registry.mustCell(cellId);
    if (reason?.endsWith(TRIED_AGAIN) || reason?.endsWith(GIVEN_UP))
      this.#registry.update(cellId, { reason: null });
    this.#steps.advance(cellId);
    this.#steps.card(cellId);
  }

  onSealed(report: JobPayload<"sealed">): void {
    const cell = this.#registry.mustCell(report.cellId);
    if (cell.state !== "closing" || cell.closing?.thenDestroy) return;
    const by = cell.closing?.by ?? "lazarus";
    const outcome = cell.closing?.outcome ?? (cell.closing?.discard ? "discarded" : cell.outcome);
    this.#registry.update(cell.id, {
      sealedAt: this.#deps.clock.now(),
      outcome,
      closing: null,
      reason: null,
    });
    this.#registry.move(cell.id, {
      from: "closing",
      to: "archived",
      who: by,
      why: sealedWords(cell),
    });
    this.#steps.putPrune(cell.id);
    this.#steps.card(cell.id);
    this.#deps.announce({
      kind: "closed",
      cell: this.#registry.mustCell(cell.id),
      by,
      person: cell.closing?.person ?? null,
    });
  }

  onScrubbed(report: JobPayload<"scrubbed">): void {
    const cell = this.#registry.mustCell(report.cellId);
    // No file and no process of it is left, also where it was never made.
    this.#deps.uids.release(cell.id);
    const closing = cell.closing;
    if (!closing?.thenDestroy || cell.state === "destroyed") return;
    const run = this.#registry.lastRun(cell.id);
    if (run?.state === "running" || run?.state === "admitted") {
      this.#registry.updateRun(cell.id, run.n, {
        state: "ended",
        endedAt: this.#deps.clock.now(),
        stopped: `destroyed by ${closing.by}`,
      });
    }
    if (cell.state === "active" || cell.state === "idle") {
      const why = `destroyed by force by ${closing.by}`;
      this.#registry.move(cell.id, { from: cell.state, to: "closing", who: closing.by, why });
    }
    if (cell.state !== "archived") {
      this.#registry.move(cell.id, {
        from: cell.state === "proposed" ? "proposed" : "closing",
        to: "archived",
        who: closing.by,
        why: "discarded by force, not sealed",
      });
      this.#registry.update(cell.id, { outcome: "discarded" });
    }
    this.#registry.move(cell.id, {
      from: "archived",
      to: "destroyed",
      who: closing.by,
      why: "scrubbed from disk",
    });
    this.#registry.update(cell.id, { closing: null, health: null, harvest: null, reason: null });
    this.#steps.card(cell.id);
    this.#steps.admitWaiting();
  }

  /** A cell job failed: it is tried again at `retryAt`, or never by itself (null). */
  onStuck(job: {
    cellId: string;
    kind: string;
    run: number | null;
    why: string;
    retryAt: number | null;
  }): void {
    const cell = this.#registry.mustCell(job.cellId);
    if (cell.state === "destroyed") return;
    if (job.retryAt === null && (job.kind === "start" || job.kind === "admit") && job.run !== null) {
      this.onRunRefused({ cellId: cell.id, run: job.run, why: job.why });
      return;
    }
    const again = job.retryAt === null ? GIVEN_UP : TRIED_AGAIN;
    this.#registry.update(cell.id, { reason: `${job.why} ${again}` });
    if (job.retryAt === null && cell.state === "closing" && job.kind !== "scrub")
      this.#steps.giveUp(cell, job.why);
    this.#steps.card(cell.id);
  }
}

/** How a reason ends that a later success makes untrue. */
const TRIED_AGAIN = "(it is tried again by itself)";
const GIVEN_UP = "(tried often enough: a person must look)";

function sealedWords({ closing, publishedTip }: Cell): string {
  if (closing?.outcome === "merged") return "merged and sealed";
  if (closing?.outcome === "rejected") return "sealed, not merged";
  return closing?.discard || publishedTip === null ? "sealed, not published" : "published and sealed";
}

function endOf(report: Pick<JobPayload<"run-ended">, "code" | "signal" | "stopped">): string {
  if (report.stopped !== null) return report.stopped;
  if (report.signal !== null) return `ended by signal ${report.signal}`;
  return report.code === null ? "gone without a trace" : `exit ${report.code}`;
}
