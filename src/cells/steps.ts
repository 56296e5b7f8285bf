import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { JobKind, JobPayload } from "../queue/jobs.ts";
import type { NewJob, Queue } from "../queue/queue.ts";
import type { Cell, Run } from "./cell.ts";
import { decide, heldFor } from "./decide.ts";
import { admissible, blockingLimit, type Limits } from "./line.ts";
import type { Registry } from "./registry.ts";
import { missionOf, specOf } from "./spec.ts";
import type { Uids } from "./uids.ts";

export interface StepDeps {
  readonly registry: Registry;
  readonly queue: Queue;
  readonly uids: Uids;
  readonly clock: Clock;
  readonly config: Pick<Config, "limits">;
}

/**
 * The jobs that follow from how a cell stands: each is put in the caller's transaction, under a key that makes asking twice harmless.
 */
export class Steps {
  readonly #deps: StepDeps;

  constructor(deps: StepDeps) {
    this.#deps = deps;
  }

  get #registry(): Registry {
    return this.#deps.registry;
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

  /** A cell and its user, for the jobs that need both. */
  #whose(cellId: string) {
    return { cellId, user: this.#deps.uids.of(cellId) };
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
    const cell = this.#registry.mustCell(cellId);
    const run = this.#registry.mustRun(cellId, n);
    this.#put({
      kind: "start",
      key: `${cellId}:${n}:start`,
      maxAttempts: CELL_ATTEMPTS,
      lane: `cell:${cellId}`,
      payload: { cell: specOf(cell, this.#deps), run: n, agent: run.agent, role: run.role },
    });
  }

  /** A cell that was never made leaves nothing on disk, not even half of it. */
  sweepDirectory(cell: Cell): void {
    this.#put({
      kind: "scrub",
      key: `${cell.id}:unmade`,
      maxAttempts: CELL_ATTEMPTS,
      lane: `cell:${cell.id}`,
      payload: { ...this.#whose(cell.id), repository: cell.repository, handle: null },
    });
  }

  /**
   * A run on its way to its start may have a process already that nobody has reported: the start is ended, and the stop that follows
   * in the same lane looks for whatever lives in the cell.
   */
  putStop(cell: Cell, run: Run, why: string): void {
    if (run.state === "admitted")
      this.#deps.queue.end({ lane: `cell:${cell.id}`, kinds: ["start", "admit"] }, why);
    // Whoever asks again, because the first one came to nothing, is heard again; while one waits it serves for all.
    this.#put({
      kind: "stop",
      key: crypto.randomUUID(),
      maxAttempts: CELL_ATTEMPTS,
      lane: `cell:${cell.id}`,
      urgent: true,
      payload: { ...this.#whose(cell.id), run: run.n, handle: handleOf(run), why },
      merge: { tag: `stop:${cell.id}:${run.n}`, fold: (waiting, fresh) => ({ ...fresh, why: waiting.why }) },
    });
  }

  /** Ends everything else that waits for the cell, and removes it from disk. */
  putScrub(cell: Cell): void {
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
      payload: { ...this.#whose(cell.id), repository: cell.repository, handle: handleOf(run) },
    });
  }

  /** Puts the job for whatever the cell needs next. Harmless when asked twice. */
  advance(cellId: string): void {
    const cell = this.#registry.mustCell(cellId);
    const step = decide(cell, this.#registry.lastUnwithdrawnRun(cellId));
    const lane = `cell:${cellId}`;
    const moves = this.#registry.history(cellId).length;
    switch (step.kind) {
      case "nothing":
        return;
      case "stop":
        this.putStop(cell, step.run, `closed by ${cell.closing?.by ?? "lazarus"}`);
        return;
      case "collect":
        this.#putStep({
          kind: "collect",
          key: `${cellId}:${step.run.n}:collect`,
          maxAttempts: CELL_ATTEMPTS,
          lane,
          payload: {
            ...this.#whose(cellId),
            run: step.run.n,
            repository: cell.repository,
            agent: step.run.agent,
            branch: cell.branch,
            baseCommit: cell.baseCommit,
            handle: handleOf(step.run),
          },
        });
        return;
      case "push":
        this.#putPublish(cellId, step, String(moves));
        return;
      case "draft":
        this.putDraft(cellId, `${cell.publishedBranch}:${moves}`);
        return;
      case "seal":
        this.#putStep({
          kind: "seal",
          key: `${cellId}:seal:${moves}`,
          maxAttempts: CELL_ATTEMPTS,
          lane,
          payload: { cellId, repository: cell.repository, baseCommit: cell.baseCommit },
        });
        return;
      case "scrub":
        this.putScrub(cell);
        return;
      case "give-up":
        this.giveUp(cell, step.why);
        return;
      default:
        step satisfies never;
    }
  }

  /** Closing cannot go on: the cell is idle again, and says why. */
  giveUp(cell: Cell, why: string): void {
    this.#registry.update(cell.id, { closing: null, reason: why });
    this.#registry.move(cell.id, { from: "closing", to: "idle", who: "lazarus", why: `not closed: ${why}` });
    this.mark(cell.id);
    this.card(cell.id);
  }

  #putPublish(cellId: string, step: { run: Run; tip: string }, asked: string): void {
    this.#putStep({
      kind: "publish",
      key: `${cellId}:${step.run.n}:publish:${step.tip}:${asked}`,
      lane: `push:${cellId}`,
      payload: { cellId, run: step.run.n, tip: step.tip, asked },
      maxAttempts: PUBLISH_ATTEMPTS,
    });
  }

  /** Publishes anew what was held back or refused: somebody has changed what was in the way, or allowed it. */
  retryPush(cellId: string): void {
    const step = decide(this.#registry.mustCell(cellId), this.#registry.lastUnwithdrawnRun(cellId));
    if (step.kind === "push") this.#putPublish(cellId, step, crypto.randomUUID());
    else this.advance(cellId);
  }

  /** Sends a tip to the forge, once control has made sure that the repository is the one it knows. */
  push({ cellId, run, tip, asked }: JobPayload<"publish">): void {
    const cell = this.#registry.mustCell(cellId);
    if (cell.harvest?.tip !== tip || cell.publishedTip === tip || heldFor(cell).length > 0) return;
    this.#put({
      kind: "push",
      key: `${cellId}:${run}:push:${tip}:${asked}`,
      lane: `push:${cellId}`,
      payload: {
        cellId,
        run,
        repository: cell.repository,
        branch: cell.publishedBranch ?? cell.branch,
        tip,
        lease: cell.publishedTip ?? (cell.delivery === "branch" ? cell.baseCommit : null),
      },
      maxAttempts: PUBLISH_ATTEMPTS,
    });
  }

  /** Opens the draft, or brings its text up to date. */
  putDraft(cellId: string, what: string): void {
    this.#put({
      kind: "draft",
      key: `${cellId}:draft:${what}`,
      lane: `draft:${cellId}`,
      payload: { cellId },
      maxAttempts: 100,
    });
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

  /** Empties an archived cell of what its seal holds. */
  putPrune(cellId: string): void {
    this.#put({
      kind: "prune",
      key: `${cellId}:prune:${this.#registry.history(cellId).length}`,
      maxAttempts: CELL_ATTEMPTS,
      lane: `cell:${cellId}`,
      payload: { cellId, mission: missionOf(this.#registry.mustCell(cellId), this.#registry) },
    });
  }

  /** Has the runner write down in the cell's directory how it stands. */
  mark(cellId: string): void {
    this.#put({
      kind: "mark",
      key: crypto.randomUUID(),
      maxAttempts: CELL_ATTEMPTS,
      lane: `cell:${cellId}`,
      payload: { cellId, mission: missionOf(this.#registry.mustCell(cellId), this.#registry) },
      merge: { tag: `mark:${cellId}`, fold: (_waiting, fresh) => fresh },
    });
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
}

function handleOf(run: Run | null): Record<string, unknown> | null {
  return run?.handle == null ? null : { ...run.handle };
}

const MOST_DEAD = 10_000;

/** A disk may be full for hours: at five minutes apart that is about eight of them. */
const CELL_ATTEMPTS = 100;

/** A forge may be down for hours: at five minutes apart that is most of a day. */
const PUBLISH_ATTEMPTS = 200;
