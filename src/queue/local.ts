import type { Clock } from "../clock.ts";
import { explain, LazarusError } from "../errors.ts";
import { JOBS, type JobKind, QUEUES, type QueueName } from "../protocol/jobs.ts";
import type { Db } from "../store/db.ts";
import { type AtWork, createAtWork, settledOrLate } from "./at-work.ts";
import { type Attempts, createAttempts, type QueueLog, REGISTRY_RETRY_MS, type Worker } from "./attempt.ts";
import { Burst } from "./burst.ts";
import type { Claimed } from "./job-row.ts";
import { type JobLog, openJobLog } from "./joblog.ts";
import type { LocalQueueOptions } from "./local-options.ts";
import { MOST_ALONE_MS, type Search } from "./next-job.ts";
import type { Handler, Handlers, JobRow, JobState, NewJob, Queue, WorkOptions } from "./queue.ts";

const DEFAULTS = { concurrency: 8, leaseMs: 60_000, pollMs: 200 } as const;
/** A long wait is cut, so that a wall clock that was set forward is noticed. */
const LONGEST_NAP_MS = 60_000;
const LONGEST_ERROR = 2_000;

/** Hands rows of the job log to handlers in this process. */
export function createLocalQueue(options: LocalQueueOptions): Queue {
  return new LocalQueue(options);
}

class LocalQueue implements Queue {
  readonly #db: Db;
  readonly #clock: Clock;
  readonly #log: QueueLog;
  readonly #jobs: JobLog;
  readonly #attempts: Attempts;
  readonly #options: LocalQueueOptions;
  readonly #leaseMs: number;
  readonly #workers = new Map<JobKind, Worker>();
  /** A lane stays busy as long as its job is here, whatever its row says by then. */
  readonly #running: AtWork;
  readonly #stops: { poll?: () => void; due?: () => void; leases?: () => void } = {};
  readonly #burst = new Burst();
  #idlers: (() => void)[] = [];
  #looking = false;
  #closed = false;
  #foreignVersion = 0;

  constructor(options: LocalQueueOptions) {
    this.#db = options.db;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? DEFAULTS.leaseMs;
    this.#running = createAtWork(openJobLog(options.db));
    this.#jobs = this.#running.jobs;
    this.#attempts = createAttempts({
      ...options,
      jobs: this.#jobs,
      text: (error) => this.#text(error),
      isClosed: () => this.#closed,
    });
  }

  put<K extends JobKind>(job: NewJob<K>): string | "duplicate" {
    if (!this.#attempts.isFinishing()) this.#burst.note();
    return this.#change(() => this.#jobs.put(job, this.#clock.now()));
  }

  end(match: { readonly lane: string; readonly kinds: readonly JobKind[] }, why: string): number {
    return this.#change(() => {
      const { waiting, running } = this.#jobs.end(match, this.#because(why));
      this.#db.afterCommit(() => this.#running.abort(new Set(running), why));
      return waiting.length + running.length;
    });
  }

  retry(id: string): boolean {
    return this.#change(() => this.#jobs.retry(id, this.#clock.now()));
  }

  retryByKey(key: string): boolean {
    const id = this.#jobs.idOf(key);
    return id !== null && this.#change(() => this.#jobs.again(id, this.#clock.now()));
  }

  resume(): number {
    return this.#change(() => this.#jobs.resume(this.#clock.now()));
  }

  drop(id: string): boolean {
    return this.#change(() => this.#jobs.drop(id, this.#because("dropped")));
  }

  list(filter?: { readonly states?: readonly JobState[]; readonly limit?: number }): JobRow[] {
    return this.#jobs.list(filter);
  }

  attemptAtWork(id: string): number | null {
    return this.#jobs.attemptAtWork(id);
  }

  stats(): Record<JobState, number> {
    return this.#jobs.stats();
  }

  shift(ms: number): void {
    this.#change(() => this.#jobs.shift(ms));
  }

  prune(endedBefore: number, isOver?: (subject: string) => boolean): number {
    return this.#db.transaction(() => this.#jobs.prune(endedBefore, isOver));
  }

  work(handlers: Handlers, options: WorkOptions = {}): void {
    if (this.#closed) throw new LazarusError("internal", "working on a queue that was closed");
    const first = this.#workers.size === 0;
    for (const kind of Object.keys(handlers) as JobKind[]) {
      if (this.#workers.has(kind))
        throw new LazarusError("internal", `two handlers for jobs of kind ${kind}`);
      // The row's kind picks the handler, and its payload was parsed by that same kind's schema.
      const handler = handlers[kind] as Handler<JobKind> | undefined;
      if (handler !== undefined) this.#workers.set(kind, { handler, options });
    }
    if (first) {
      const { taken, elsewhere } = this.#db.transaction(() =>
        this.#jobs.recover(this.#clock.now(), options.isElsewhere),
      );
      for (const claimed of elsewhere) this.#start(JOBS[claimed.kind as JobKind].queue, claimed);
      if (taken > 0) this.#log.info({ jobs: taken }, "took back jobs that an earlier process was at work on");
      this.#foreignVersion = this.#db.foreignVersion();
      this.#poll();
    }
    this.wake();
  }

  wake(): void {
    if (this.#looking || (this.#closed && this.#idlers.length === 0)) return;
    this.#looking = true;
    this.#burst.after(() => {
      this.#looking = false;
      this.#look();
    });
  }

  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idlers.push(resolve);
      this.wake();
    });
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    for (const stop of [this.#stops.poll, this.#stops.due]) stop?.();
    await settledOrLate(this.#running.here(), this.#clock, drainMs);
    this.#stops.leases?.();
    const left = this.#running.here();
    if (left.length > 0) {
      this.#db.transaction(() => {
        for (const { claim } of left) this.#jobs.giveBack(claim);
      });
      this.#log.warn({ jobs: left.map((one) => one.claim.id) }, "gave back jobs that did not end in time");
    }
    this.wake();
  }

  #change<T>(fn: () => T): T {
    return this.#db.transaction(() => {
      this.#db.afterCommit(() => this.wake());
      return fn();
    });
  }

  #text(error: unknown): string {
    const text = explain(error);
    return (this.#options.redact?.(text) ?? text).slice(0, LONGEST_ERROR);
  }

  #because(error: unknown, at = this.#clock.now()): { at: number; error: string } {
    return { at, error: this.#text(error) };
  }

  #poll(): void {
    this.#stops.poll = this.#clock.after(this.#options.pollMs ?? DEFAULTS.pollMs, () => {
      if (!this.#db.sql.open) return;
      try {
        this.#noticeForeign();
      } catch (error) {
        this.#log.error({ why: this.#text(error) }, "could not look for new jobs");
      }
      this.#poll();
    });
  }

  /** Whether another process has committed since this was asked last: it may have ended what runs here. */
  #noticeForeign(): boolean {
    const version = this.#db.foreignVersion();
    if (version === this.#foreignVersion) return false;
    this.#foreignVersion = version;
    this.#extendLeases();
    this.wake();
    return true;
  }

  /** Starts what may start, then says idle or sets the timer for what is due next. */
  #look(): void {
    if (!this.#closed && this.#db.sql.open) {
      try {
        // One time for both: what falls due in between would be neither started nor waited for.
        const now = this.#clock.now();
        for (const queue of QUEUES) this.#startIn(queue, now);
        this.#stops.due?.();
        const due = this.#jobs.nextDue(now);
        if (due !== null) this.#napUntil(due - now);
      } catch (error) {
        this.#log.error({ why: this.#text(error) }, "could not start jobs; trying again");
        this.#napUntil(REGISTRY_RETRY_MS);
        return;
      }
    }
    if (this.#running.size > 0) return;
    const idlers = this.#idlers;
    this.#idlers = [];
    for (const resolve of idlers) resolve();
  }

  #napUntil(ms: number): void {
    this.#stops.due?.();
    this.#stops.due = this.#clock.after(Math.min(ms, LONGEST_NAP_MS), () => this.wake());
  }

  #startIn(queue: QueueName, now: number): void {
    const kinds = (Object.keys(JOBS) as JobKind[]).filter((kind) => JOBS[kind].queue === queue);
    const notOurs = kinds.filter((kind) => !this.#workers.has(kind));
    if (notOurs.length === kinds.length) return;
    const running = this.#running;
    const skip = [...notOurs, ...running.full()];
    const free = (this.#options.concurrency?.[queue] ?? DEFAULTS.concurrency) - running.countIn(queue);
    if (running.isAlone(now)) return;
    const busyLanes = running.heldByNoRow(queue);
    const search: Search = { queue, now, busyLanes, skip, isAlone: running.isIdleHere() };
    if (free <= 0 || !this.#jobs.hasNext(search)) return;
    // An idle look took no write lock. A claim that a power cut undoes is made anew.
    const found = this.#db.transactionWithoutSync(() => this.#claim(search, free));
    for (const claimed of found) this.#start(queue, claimed);
    // What went elsewhere leaves its place here to the next.
    if (found.some(({ claim }) => running.isElsewhere(claim.lease))) this.wake();
  }

  #claim(search: Search, free: number): Claimed[] {
    const claimed: Claimed[] = [];
    // Another process may have ended what runs here: no row holds its lane any more, until that was noticed.
    if (this.#noticeForeign()) return claimed;
    while (claimed.length < free) {
      const isAlone = search.isAlone && claimed.length === 0;
      const full = this.#running.full(claimed.map((one) => one.kind));
      const one = this.#jobs.claim(
        { ...search, isAlone, skip: [...search.skip, ...full] },
        { name: crypto.randomUUID(), until: search.now + this.#leaseMs },
      );
      if (one === undefined) break;
      const worker = this.#workers.get(one.kind as JobKind);
      if (one.fault === null) claimed.push(one);
      else this.#attempts.bury(one, new LazarusError("internal", one.fault), worker);
      if (one.fault === null && one.isSuspect) break;
    }
    return claimed;
  }

  #start(queue: QueueName, claimed: Claimed): void {
    const { claim, job } = claimed;
    const worker = job && this.#workers.get(job.kind);
    if (!job || !worker) return;
    const abort = new AbortController();
    const settled = this.#attempts.run(job, { claim, worker, signal: abort.signal }).finally(() => {
      this.#running.delete(claim.lease);
      this.wake();
    });
    const isElsewhere = worker.options.isElsewhere?.(job) ?? false;
    const aloneUntil = claimed.isSuspect ? this.#clock.now() + MOST_ALONE_MS : 0;
    const at = { kind: job.kind, lane: job.lane, aloneUntil, isElsewhere };
    this.#running.add({ claim, queue, abort, settled, ...at });
    if (this.#running.size === 1) this.#watchLeases();
  }

  #watchLeases(): void {
    this.#stops.leases?.();
    this.#stops.leases = this.#clock.after(this.#leaseMs / 3, () => {
      if (this.#running.size === 0 || !this.#db.sql.open) return;
      this.#extendLeases();
      this.#watchLeases();
    });
  }

  #extendLeases(): void {
    const until = this.#clock.now() + this.#leaseMs;
    const held = this.#running.all().filter((one) => !one.abort.signal.aborted);
    if (held.length === 0) return;
    try {
      const lost = this.#db.transaction(() => held.filter(({ claim }) => !this.#jobs.extend(claim, until)));
      this.#running.abort(new Set(lost.map(({ claim }) => claim.id)), "the job was ended or taken over");
    } catch (error) {
      this.#log.warn({ why: this.#text(error) }, "could not extend leases");
    }
  }
}
