import type { JobKind, JobPayload } from "../protocol/jobs.ts";

/**
 * The job log: what is to be done, in rows that share a transaction with the registry.
 *
 * **put** joins the caller's transaction: either both the registry change and the job are there after a
 * crash, or neither. A key is said once for ever: a second put with it answers `"duplicate"` and changes
 * nothing, also after the first job's row was pruned (but see `prune`). With `merge`, a job whose tag a
 * *waiting* job of the same kind already bears is folded into it (payload replaced by `merge.fold(waiting,
 * new)`), and the answer is the waiting job's id.
 *
 * **Lanes**: jobs of one queue and lane run one at a time, in the order they were put; different lanes run in
 * parallel. A job that waits for its retry keeps its lane. `urgent` jobs go before waiting and retrying ones
 * of their lane, never before a running one. A lane is free only when its handler's promise has settled, also
 * when the lease ran out.
 *
 * **Leases are fenced**: a handler answers a function that makes its effects; the queue calls it inside the
 * very transaction that marks the job done, after checking that the lease is still the one it was given. A
 * handler that lost its lease changes nothing. A lease lasts `leaseMs` and is extended by the queue as long
 * as the handler's promise is pending. Whoever calls `work` first takes back every lease of an earlier
 * process: the program holds an exclusive lock (see app.ts), so no other process can be at work.
 *
 * **Failure**: a handler that throws is tried again with exponential backoff and jitter if
 * `isRetryable(error)` and attempts remain, else the job is `dead`: it stays visible, frees its lane, and
 * `onDead` tells control, inside the same transaction.
 *
 * **Outage**: where `isOutage` says that what a job needs is away as a whole, the attempt does not count. The
 * job waits, at most five minutes, and `resume` lets all such jobs go at once.
 */
export interface Queue {
  put<K extends JobKind>(job: NewJob<K>): string | "duplicate";
  work(handlers: Handlers, options?: WorkOptions): void;
  /**
   * Ends waiting and retrying jobs that match, and aborts the signal of running ones (their handler settles
   * in its own time, and its result is dropped). Joins the caller's transaction. Answers how many there were.
   */
  end(match: { readonly lane: string; readonly kinds: readonly JobKind[] }, why: string): number;
  /** Puts a dead job back with its attempts at zero. False if it is not dead. */
  retry(id: string): boolean;
  /**
   * The same for the job of a key, however many dead ones there are; also where it was ended, since nobody
   * needed it then: whoever asks needs it now.
   */
  retryByKey(key: string): boolean;
  /** What was put off in an outage is due now: whatever was away is back. Answers how many jobs that were. */
  resume(): number;
  /** Ends one job that waits or is dead. False if it is neither. */
  drop(id: string): boolean;
  list(filter?: { readonly states?: readonly JobState[]; readonly limit?: number }): JobRow[];
  stats(): Record<JobState, number>;
  /** Which attempt of a job is at work just now; null: none is. */
  attemptAtWork(id: string): number | null;
  /**
   * Removes finished rows that ended before that. Keys stay, but for fresh ones, and for those that begin
   * with the UUID of something that `isOver`: nobody says these again. Answers how many rows.
   */
  prune(endedBefore: number, isOver?: (subject: string) => boolean): number;
  /**
   * The wall clock was set by `ms`: what waits for a time, and leases, move with it. Joins the caller's
   * transaction.
   */
  shift(ms: number): void;
  /** Looks for work now, e.g. when another process may have put something. */
  wake(): void;
  /** Resolves when nothing is running and nothing is due; for command lines and tests. */
  idle(): Promise<void>;
  /**
   * Takes no new jobs, aborts nothing, waits up to `drainMs` for running handlers; then gives their leases
   * back.
   */
  close(drainMs: number): Promise<void>;
}

export const JOB_STATES = ["waiting", "running", "done", "dead", "ended"] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface NewJob<K extends JobKind> {
  readonly kind: K;
  readonly key: string;
  readonly lane: string;
  readonly payload: JobPayload<K>;
  readonly urgent?: boolean;
  /**
   * Epoch ms before which it does not start, unless the wall clock is set back by more than a second
   * meanwhile.
   */
  readonly notBefore?: number;
  readonly maxAttempts?: number;
  readonly merge?: {
    readonly tag: string;
    fold(waiting: JobPayload<K>, fresh: JobPayload<K>): JobPayload<K>;
  };
}

export interface Job<K extends JobKind> {
  readonly id: string;
  readonly kind: K;
  readonly key: string;
  readonly lane: string;
  readonly payload: JobPayload<K>;
  /** 1 on the first try. */
  readonly attempt: number;
  /** How many of the attempts failed in an outage, and do not count. */
  readonly outages: number;
  /** How many of them ended because Lazarus, or the runner, did, and do not count. */
  readonly interruptions: number;
  readonly maxAttempts: number;
  readonly putAt: number;
  /** What an earlier attempt wrote down with `note`; `{}` at first. */
  readonly notes: Readonly<Record<string, unknown>>;
}

export interface JobContext {
  /** Aborted when the job was ended from outside, or its lease was lost. */
  readonly signal: AbortSignal;
  /** Remembers something for later attempts, committed before it returns ("I am about to post"). */
  note(notes: Record<string, unknown>): void;
}

/** Effects to be made in the transaction that marks the job done. */
export type Finish = () => void;
export type Handler<K extends JobKind> = (job: Job<K>, context: JobContext) => Promise<Finish | undefined>;
export type Handlers = { readonly [K in JobKind]?: Handler<K> };

export interface WorkOptions {
  /**
   * Asked after an error that may pass: whether what the job needs is away as a whole. A rejection counts as
   * no.
   */
  isOutage?(job: Job<JobKind>, error: unknown): Promise<boolean>;
  /**
   * Whether a runner elsewhere does this job. Then it is not counted among those at work here; and where an
   * earlier process had it in hand it goes on under the same lease, in the same attempt.
   */
  isElsewhere?(job: Job<JobKind>): boolean;
  /** Called in the transaction that marks a job dead. */
  onDead?(job: Job<JobKind>, error: unknown): void;
  /** Called in the transaction that puts a job off for another attempt. */
  onRetry?(job: Job<JobKind>, error: unknown, retryAt: number): void;
}

export interface JobRow {
  readonly id: string;
  readonly queue: string;
  readonly kind: JobKind;
  readonly key: string;
  readonly lane: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly putAt: number;
  readonly notBefore: number;
  readonly endedAt: number | null;
  readonly error: string | null;
  /** How many of its attempts failed in an outage, and do not count. */
  readonly outages: number;
  /** It waits because its last attempt failed in an outage. */
  readonly inOutage: boolean;
}
