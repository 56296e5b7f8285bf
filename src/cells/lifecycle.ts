import type { Clock } from "../clock.ts";
import { toIso } from "../clock.ts";
import type { Config } from "../config.ts";
import { LazarusError } from "../errors.ts";
import type { CellSpec, JobKind, JobPayload, MissionUpdate } from "../queue/jobs.ts";
import type { NewJob, Queue } from "../queue/queue.ts";
import {
  type Cell,
  type Closing,
  type Member,
  type Outcome,
  type Requester,
  type Run,
  targetOf,
} from "./cell.ts";
import { decide, outcomeOf, wantsDraft } from "./decide.ts";
import { admissible, blockingLimit, type Limits } from "./line.ts";
import type { Registry } from "./registry.ts";
import type { NewCell } from "./rows.ts";

/** What people must hear of in a new comment, besides the card. */
export type Announcement = {
  readonly kind: "closed";
  readonly cell: Cell;
  readonly by: string;
  readonly person: string | null;
};

export interface LifecycleDeps {
  readonly registry: Registry;
  readonly queue: Queue;
  readonly clock: Clock;
  readonly config: Pick<Config, "limits">;
  /** Called in the transaction of the change that is announced. */
  announce(announcement: Announcement): void;
}

/**
 * The control side of a cell's life: every move, and the jobs that follow from it, in one transaction. It never touches a
 * directory; runners do, and report back. All methods are synchronous.
 */
export class Lifecycle {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  get #registry(): Registry {
    return this.#deps.registry;
  }

  /** Writes down a new cell with its first run, which starts at once if there is a place for it. */
  create(cell: NewCell, members: readonly Member[], why: string): Run {
    return this.#registry.transaction(() => {
      this.#registry.insert(cell, members, why);
      return this.#line(cell.id, cell.agent, cell.requester);
    });
  }

  /** Asks for another run of an idle cell. */
  rerun(cell: Cell, agent: string, requester: Requester): Run {
    return this.#registry.transaction(() => {
      this.#mustBe(cell.id, ["idle"]);
      if (isOpen(this.#registry.lastRun(cell.id))) throw movedOn(cell.id);
      this.#registry.update(cell.id, { pushRefused: null, reason: null });
      return this.#line(cell.id, agent, requester);
    });
  }

  #line(cellId: string, agent: string, requester: Requester): Run {
    const n = this.#registry.addRun({ cellId, agent, role: "executor", requester, state: "waiting" });
    this.admitWaiting({ checked: { cellId, n } });
    this.card(cellId);
    return this.#run(cellId, n);
  }

  /**
   * Gives places to runs in line, in order. A run whose requester's rights were checked just now (`checked`) starts; any other
   * goes through `admit`, which checks them again.
   */
  admitWaiting(options: { checked?: { cellId: string; n: number } } = {}): void {
    for (const run of admissible(this.#registry, this.#limits())) {
      this.#registry.updateRun(run.cellId, run.n, { state: "admitted" });
      const isChecked = options.checked?.cellId === run.cellId && options.checked.n === run.n;
      if (isChecked) this.start(run.cellId, run.n);
      else
        this.#put({
          kind: "admit",
          key: `${run.cellId}:${run.n}:admit`,
          lane: `cell:${run.cellId}`,
          payload: { cellId: run.cellId, run: run.n },
        });
    }
  }

  #limits(): Limits {
    return this.#deps.config.limits;
  }

  /** Which limit keeps a waiting run in line, and its place there; null when none does. */
  blockedBy(run: Run): { limit: string; place: number } | null {
    return blockingLimit(this.#registry, this.#limits(), run);
  }

  /** Sends an admitted run to a runner. */
  start(cellId: string, n: number): void {
    const cell = this.#cell(cellId);
    const run = this.#run(cellId, n);
    this.#put({
      kind: "start",
      key: `${cellId}:${n}:start`,
      lane: `cell:${cellId}`,
      payload: { cell: this.#spec(cell), run: n, agent: run.agent, role: run.role },
    });
  }

  /** Takes a run that waits in line, or has just got its place, out of it; a cell that was never made gets the outcome. */
  withdraw(cell: Cell, run: Run, step: { who: string; why: string; outcome: Outcome }): void {
    this.#registry.transaction(() => {
      const { state } = this.#run(cell.id, run.n);
      if (state !== "waiting" && state !== "admitted") throw movedOn(cell.id);
      const isUnmade = this.#cell(cell.id).state === "proposed";
      this.#registry.updateRun(cell.id, run.n, {
        state: "withdrawn",
        stopped: step.why,
        endedAt: this.#deps.clock.now(),
      });
      this.#registry.update(cell.id, {
        reason: step.why,
        waitsForApproval: false,
        ...(isUnmade ? { outcome: step.outcome } : {}),
      });
      if (isUnmade) {
        this.#registry.move(cell.id, { from: "proposed", to: "archived", who: step.who, why: step.why });
        this.#sweepDirectory(cell);
      }
      this.card(cell.id);
      this.admitWaiting();
    });
  }

  /** A cell that was never made leaves nothing on disk, not even half of it. */
  #sweepDirectory(cell: Cell): void {
    this.#put({
      kind: "scrub",
      key: `${cell.id}:unmade`,
      lane: `cell:${cell.id}`,
      payload: { cellId: cell.id, repository: cell.repository, handle: null },
    });
  }

  /** Lets a cell that waits for a director's word go on to its place in line. */
  approve(cell: Cell): void {
    this.#registry.transaction(() => {
      if (!this.#mustBe(cell.id, ["proposed"]).waitsForApproval) throw movedOn(cell.id);
      this.#registry.update(cell.id, { waitsForApproval: false, reason: null });
      const last = this.#registry.lastRun(cell.id);
      if (last !== null) this.admitWaiting({ checked: { cellId: cell.id, n: last.n } });
      this.card(cell.id);
    });
  }

  /** Ends the current run; answers false when there is none. */
  stop(cell: Cell, who: string): boolean {
    const why = `stopped by ${who}`;
    const run = this.#registry.lastRun(cell.id);
    if (run === null) return false;
    if (run.state === "waiting") {
      this.withdraw(cell, run, { who, why, outcome: "discarded" });
      return true;
    }
    if (run.state !== "running" && run.state !== "admitted") return false;
    this.#registry.transaction(() => this.#putStop(cell, run, why));
    return true;
  }

  /**
   * A run on its way to its start may have a process already that nobody has reported: the start is ended, and the stop that follows
   * in the same lane looks for whatever lives in the cell.
   */
  #putStop(cell: Cell, run: Run, why: string): void {
    if (run.state === "admitted")
      this.#deps.queue.end({ lane: `cell:${cell.id}`, kinds: ["start", "admit"] }, why);
    // Whoever asks again, because the first one came to nothing, is heard again; while one waits it serves for all.
    this.#put({
      kind: "stop",
      key: crypto.randomUUID(),
      lane: `cell:${cell.id}`,
      urgent: true,
      payload: { cellId: cell.id, run: run.n, handle: run.handle === null ? null : { ...run.handle }, why },
      merge: { tag: `stop:${cell.id}:${run.n}`, fold: (waiting, fresh) => ({ ...fresh, why: waiting.why }) },
    });
  }

  /** Begins to close an active or idle cell; what remains to be published is published first, unless it is to be discarded. */
  close(cell: Cell, closing: Closing, why: string): void {
    this.#registry.transaction(() => {
      const { state } = this.#mustBe(cell.id, ["active", "idle"]);
      const run = this.#registry.lastRun(cell.id);
      if (run?.state === "waiting") {
        this.#registry.updateRun(cell.id, run.n, {
          state: "withdrawn",
          stopped: why,
          endedAt: this.#deps.clock.now(),
        });
      }
      this.#registry.update(cell.id, { closing, pushRefused: null, reason: null });
      this.#registry.move(cell.id, { from: state, to: "closing", who: closing.by, why });
      this.#mark(cell.id);
      this.advance(cell.id);
      this.card(cell.id);
    });
  }

  /** Ends what has lived longer than its TTL: closes it, or withdraws it where it never started. */
  expire(): void {
    const now = this.#deps.clock.now();
    for (const cell of this.#registry.list(["proposed", "active", "idle"])) {
      if (cell.expiresAt > now || cell.closing !== null || this.#gaveUpSince(cell)) continue;
      const why = `its TTL passed at ${toIso(cell.expiresAt)}`;
      const run = this.#registry.lastRun(cell.id);
      if (cell.state !== "proposed") {
        this.close(
          cell,
          { by: "lazarus", discard: false, thenDestroy: false, outcome: "expired", person: null },
          why,
        );
      } else if (run?.state === "waiting")
        this.withdraw(cell, run, { who: "lazarus", why, outcome: "expired" });
    }
  }

  /** It was tried to close it after its TTL, and could not be: a person must look, and nothing is gained by trying for ever. */
  #gaveUpSince(cell: Cell): boolean {
    return this.#registry
      .history(cell.id)
      .some((row) => row.from === "closing" && row.to === "idle" && row.at >= cell.expiresAt);
  }

  /**
   * Scrubs a cell, whatever its state: what is still alive in it is ended first, and nothing is published. Asked again it tries again
   * what had been given up.
   */
  destroy(cell: Cell, who: string): void {
    this.#registry.transaction(() => {
      const { state } = this.#mustBe(cell.id, ["proposed", "active", "idle", "closing", "archived"]);
      const run = this.#registry.lastRun(cell.id);
      if (run?.state === "waiting")
        this.#registry.updateRun(cell.id, run.n, { state: "withdrawn", endedAt: this.#deps.clock.now() });
      this.#registry.update(cell.id, {
        waitsForApproval: false,
        closing: { by: who, discard: true, thenDestroy: true, outcome: null, person: null },
      });
      if (state === "active" || state === "idle") {
        this.#registry.move(cell.id, {
          from: state,
          to: "closing",
          who,
          why: `destroyed by force by ${who}`,
        });
      }
      this.#putScrub(cell);
      this.card(cell.id);
    });
  }

  #putScrub(cell: Cell): void {
    const run = this.#registry.lastRun(cell.id);
    this.#deps.queue.end(
      { lane: `cell:${cell.id}`, kinds: ["start", "admit", "stop", "collect", "seal", "prune", "mark"] },
      "the cell is being destroyed",
    );
    this.#deps.queue.end(
      { lane: `push:${cell.id}`, kinds: ["publish", "push"] },
      "the cell is being destroyed",
    );
    this.#putStep({
      kind: "scrub",
      key: `${cell.id}:scrub:${this.#registry.history(cell.id).length}`,
      lane: `cell:${cell.id}`,
      urgent: true,
      payload: {
        cellId: cell.id,
        repository: cell.repository,
        handle: run?.handle == null ? null : { ...run.handle },
      },
    });
  }

  /** Puts the job for whatever the cell needs next. Harmless when asked twice. */
  advance(cellId: string): void {
    const cell = this.#cell(cellId);
    const step = decide(cell, this.#registry.lastRun(cellId));
    const lane = `cell:${cellId}`;
    const moves = this.#registry.history(cellId).length;
    switch (step.kind) {
      case "nothing":
        return;
      case "stop":
        this.#putStop(cell, step.run, `closed by ${cell.closing?.by ?? "lazarus"}`);
        return;
      case "collect":
        this.#putStep({
          kind: "collect",
          key: `${cellId}:${step.run.n}:collect`,
          lane,
          payload: {
            cellId,
            run: step.run.n,
            repository: cell.repository,
            agent: step.run.agent,
            branch: cell.branch,
            baseCommit: cell.baseCommit,
            handle: step.run.handle === null ? null : { ...step.run.handle },
          },
        });
        return;
      case "push":
        this.#putStep({
          kind: "publish",
          key: `${cellId}:${step.run.n}:publish:${step.tip}:${moves}`,
          lane: `push:${cellId}`,
          payload: { cellId, run: step.run.n, tip: step.tip },
          maxAttempts: PUBLISH_ATTEMPTS,
        });
        return;
      case "draft":
        this.#putDraft(cellId, `${cell.publishedBranch}:${moves}`);
        return;
      case "seal":
        this.#putStep({
          kind: "seal",
          key: `${cellId}:seal:${moves}`,
          lane,
          payload: { cellId, repository: cell.repository, baseCommit: cell.baseCommit },
        });
        return;
      case "scrub":
        this.#putScrub(cell);
        return;
      case "give-up":
        this.#giveUp(cell, step.why);
        return;
      default:
        step satisfies never;
    }
  }

  #giveUp(cell: Cell, why: string): void {
    this.#registry.update(cell.id, { closing: null, reason: why });
    this.#registry.move(cell.id, { from: "closing", to: "idle", who: "lazarus", why: `not closed: ${why}` });
    this.#mark(cell.id);
    this.card(cell.id);
  }

  // What runners report. Each is called in the transaction that ends the report's job.

  onRunStarted(report: JobPayload<"run-started">): void {
    const cell = this.#cell(report.cellId);
    const run = this.#run(report.cellId, report.run);
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
      this.#mark(cell.id);
    }
    this.advance(cell.id);
    this.card(cell.id);
  }

  onRunRefused(report: JobPayload<"run-refused">): void {
    const cell = this.#cell(report.cellId);
    const run = this.#run(report.cellId, report.run);
    if (run.state !== "admitted") return;
    this.#registry.updateRun(cell.id, run.n, {
      state: "ended",
      endedAt: this.#deps.clock.now(),
      stopped: report.why,
    });
    this.#registry.update(cell.id, { reason: report.why, outcome: "failed" });
    if (cell.state === "proposed") {
      this.#registry.move(cell.id, { from: "proposed", to: "archived", who: "lazarus", why: report.why });
      this.#sweepDirectory(cell);
    }
    this.card(cell.id);
    this.advance(cell.id);
    this.admitWaiting();
  }

  onRunEnded(report: JobPayload<"run-ended">): void {
    const cell = this.#cell(report.cellId);
    const run = this.#run(report.cellId, report.run);
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
    if (this.#cell(cell.id).state === "active") {
      this.#registry.move(cell.id, { from: "active", to: "idle", who: run.agent, why: endOf(report) });
      this.#mark(cell.id);
    }
    if (this.#cell(cell.id).state === "proposed") {
      this.#registry.update(cell.id, { outcome: "discarded", reason: report.stopped });
      this.#registry.move(cell.id, {
        from: "proposed",
        to: "archived",
        who: run.requester.login,
        why: endOf(report),
      });
      this.#sweepDirectory(cell);
    }
    this.advance(cell.id);
    this.card(cell.id);
    this.admitWaiting();
  }

  onOverLimit(report: JobPayload<"over-limit">): void {
    const run = this.#run(report.cellId, report.run);
    if (run.state === "running") this.#putStop(this.#cell(report.cellId), run, report.why);
  }

  onLogCut(report: JobPayload<"log-cut">): void {
    if (this.#run(report.cellId, report.run).state !== "running") return;
    this.#registry.update(report.cellId, {
      reason: `the log of run ${report.run} grew over its limit: ${report.bytes} bytes were cut out of its middle, the run goes on`,
    });
    this.card(report.cellId);
  }

  onCollected(report: JobPayload<"collected">): void {
    const run = this.#run(report.cellId, report.run);
    const { state } = this.#cell(report.cellId);
    if (run.state !== "ended" || run.collectedAt !== null || state === "archived" || state === "destroyed")
      return;
    this.#registry.updateRun(report.cellId, report.run, { collectedAt: this.#deps.clock.now() });
    this.#registry.update(report.cellId, {
      harvest: report.harvest,
      outcome: outcomeOf(run, report.harvest),
      reason: null,
      pushRefused: null,
    });
    this.advance(report.cellId);
    this.card(report.cellId);
  }

  onPushed(report: JobPayload<"pushed">): void {
    const cell = this.#cell(report.cellId);
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
    this.advance(cell.id);
    if (cell.pullRequest !== null && wantsDraft(this.#cell(cell.id)))
      this.#putDraft(cell.id, `update:${report.tip}`);
    this.card(cell.id);
  }

  /** Sends a tip to the forge, once control has made sure that the repository is the one it knows. */
  push(cellId: string, n: number, tip: string): void {
    const cell = this.#cell(cellId);
    if (cell.harvest?.tip !== tip || cell.publishedTip === tip) return;
    this.#put({
      kind: "push",
      key: `${cellId}:${n}:push:${tip}:${this.#registry.history(cellId).length}`,
      lane: `push:${cellId}`,
      payload: {
        cellId,
        run: n,
        repository: cell.repository,
        branch: cell.publishedBranch ?? cell.branch,
        tip,
        lease: cell.publishedTip ?? (cell.delivery === "branch" ? cell.baseCommit : null),
      },
      maxAttempts: PUBLISH_ATTEMPTS,
    });
  }

  /** Opens the draft, or brings its text up to date. */
  #putDraft(cellId: string, what: string): void {
    this.#put({
      kind: "draft",
      key: `${cellId}:draft:${what}`,
      lane: `draft:${cellId}`,
      payload: { cellId },
      maxAttempts: 100,
    });
  }

  onPushRefused(report: JobPayload<"push-refused">): void {
    const cell = this.#cell(report.cellId);
    if (cell.state === "archived" || cell.state === "destroyed") return;
    this.#registry.update(report.cellId, { pushRefused: report.why, reason: `not published: ${report.why}` });
    this.advance(report.cellId);
    this.card(report.cellId);
  }

  onDrafted(cellId: string, pullRequest: number, repository: string): void {
    if (this.#cell(cellId).state === "destroyed") return;
    this.#registry.update(cellId, { pullRequest, pullRequestRepository: repository });
    const { reason } = this.#cell(cellId);
    if (reason?.endsWith(TRIED_AGAIN) || reason?.endsWith(GIVEN_UP))
      this.#registry.update(cellId, { reason: null });
    this.advance(cellId);
    this.card(cellId);
  }

  onSealed(report: JobPayload<"sealed">): void {
    const cell = this.#cell(report.cellId);
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
      why:
        cell.closing?.discard || cell.publishedTip === null
          ? "sealed, not published"
          : "published and sealed",
    });
    this.#put({
      kind: "prune",
      key: `${cell.id}:prune:${this.#registry.history(cell.id).length}`,
      lane: `cell:${cell.id}`,
      payload: { cellId: cell.id, mission: this.#mission(cell.id) },
    });
    this.card(cell.id);
    this.#deps.announce({
      kind: "closed",
      cell: this.#cell(cell.id),
      by,
      person: cell.closing?.person ?? null,
    });
  }

  onScrubbed(report: JobPayload<"scrubbed">): void {
    const cell = this.#cell(report.cellId);
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
    this.card(cell.id);
    this.admitWaiting();
  }

  /** A cell job failed: it is tried again at `retryAt`, or never by itself (null). */
  onStuck(job: {
    cellId: string;
    kind: string;
    run: number | null;
    why: string;
    retryAt: number | null;
  }): void {
    const cell = this.#cell(job.cellId);
    if (cell.state === "destroyed") return;
    if (job.retryAt === null && (job.kind === "start" || job.kind === "admit") && job.run !== null) {
      this.onRunRefused({ cellId: cell.id, run: job.run, why: job.why });
      return;
    }
    const again = job.retryAt === null ? GIVEN_UP : TRIED_AGAIN;
    this.#registry.update(cell.id, { reason: `${job.why} ${again}` });
    if (job.retryAt === null && cell.state === "closing" && job.kind !== "scrub") this.#giveUp(cell, job.why);
    this.card(cell.id);
  }

  /** Puts a card job; one that still waits serves as well. */
  card(cellId: string): void {
    this.#put({
      kind: "card",
      key: crypto.randomUUID(),
      lane: `card:${cellId}`,
      payload: { cellId },
      merge: { tag: `card:${cellId}`, fold: (waiting) => waiting },
      maxAttempts: 300,
    });
  }

  #mark(cellId: string): void {
    this.#put({
      kind: "mark",
      key: crypto.randomUUID(),
      lane: `cell:${cellId}`,
      payload: { cellId, mission: this.#mission(cellId) },
      merge: { tag: `mark:${cellId}`, fold: (_waiting, fresh) => fresh },
    });
  }

  #mission(cellId: string): MissionUpdate {
    return {
      status: this.#cell(cellId).state,
      members: this.#registry.members(cellId),
      history: this.#registry
        .history(cellId)
        .map((row) => ({ at: toIso(row.at), from: row.from, to: row.to, who: row.who, why: row.why })),
    };
  }

  #spec(cell: Cell): CellSpec {
    return {
      id: cell.id,
      repository: cell.repository,
      target: targetOf(cell),
      title: cell.title,
      issueUrl: cell.issueUrl,
      requestedBy: cell.requester.login,
      createdAt: cell.createdAt,
      members: this.#registry.members(cell.id),
      branch: cell.branch,
      baseRef: cell.baseRef,
      baseCommit: cell.baseCommit,
      brief: cell.brief,
      briefSha256: cell.briefSha256,
    };
  }

  /** Asked for again after it was given up, a step is tried again: its key is said once, but its job may be dead. */
  #putStep<K extends JobKind>(job: NewJob<K>): void {
    if (this.#deps.queue.put(job) !== "duplicate") return;
    const dead = this.#deps.queue
      .list({ states: ["dead"], limit: MOST_DEAD })
      .find((row) => row.key === job.key);
    if (dead !== undefined) this.#deps.queue.retry(dead.id);
  }

  #put<K extends Parameters<Queue["put"]>[0]["kind"]>(job: NewJob<K>): void {
    this.#deps.queue.put(job);
  }

  /** The cell as it is now. @throws LazarusError `internal`, retryable, where it left these states since the caller looked. */
  #mustBe(cellId: string, states: readonly Cell["state"][]): Cell {
    const cell = this.#cell(cellId);
    if (!states.includes(cell.state)) throw movedOn(cellId);
    return cell;
  }

  #cell(id: string): Cell {
    const cell = this.#registry.cell(id);
    if (cell === null) throw new LazarusError("not-found", `no cell ${id} in the registry`);
    return cell;
  }

  #run(cellId: string, n: number): Run {
    const run = this.#registry.run(cellId, n);
    if (run === null) throw new LazarusError("not-found", `cell ${cellId} has no run ${n}`);
    return run;
  }
}

const MOST_DEAD = 10_000;

function isOpen(run: Run | null): boolean {
  return run !== null && (run.state === "waiting" || run.state === "admitted" || run.state === "running");
}

/** Between a command's look at a cell and its effects something else moved it: the command looks again. */
function movedOn(cellId: string): LazarusError {
  return new LazarusError("internal", `changing cell ${cellId}: it moved on meanwhile`, { retryable: true });
}

/** How a reason ends that a later success makes untrue. */
const TRIED_AGAIN = "(it is tried again by itself)";
const GIVEN_UP = "(tried often enough: a person must look)";

/** A forge may be down for hours: at five minutes apart that is most of a day. */
const PUBLISH_ATTEMPTS = 200;

function endOf(report: Pick<JobPayload<"run-ended">, "code" | "signal" | "stopped">): string {
  if (report.stopped !== null) return report.stopped;
  if (report.signal !== null) return `ended by signal ${report.signal}`;
  return report.code === null ? "gone without a trace" : `exit ${report.code}`;
}
