import { type Clock, toIso } from "../clock.ts";
import { isRetryable, LazarusError, systemCode } from "../errors.ts";
import { count, took } from "../meter.ts";
import type { JobKind } from "../protocol/jobs.ts";
import { subjectOf } from "../protocol/subject.ts";
import type { Db } from "../store/db.ts";
import { BACKOFF, backoffMs } from "./backoff.ts";
import { noteAttempt } from "./job-attempts.ts";
import type { Claimed, NamedLease } from "./job-row.ts";
import type { JobLog } from "./joblog.ts";
import type { Finish, Handler, Job, JobContext, WorkOptions } from "./queue.ts";

/** One line per fact, object first; pino fits. */
export interface QueueLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Who works on jobs of one kind, and whom to tell of failures. */
export interface Worker {
  readonly handler: Handler<JobKind>;
  readonly options: WorkOptions;
}

export interface AttemptsDeps {
  readonly db: Db;
  readonly jobs: JobLog;
  readonly clock: Clock;
  readonly log: QueueLog;
  readonly random?: () => number;
  /** An error as it is kept and logged. */
  readonly text: (error: unknown) => string;
  readonly isClosed: () => boolean;
}

/** One try at a job under its lease, up to the write that says how it ended. */
export interface Attempts {
  /** Never rejects. */
  run(job: Job<JobKind>, at: { claim: NamedLease; worker: Worker; signal: AbortSignal }): Promise<void>;
  /**
   * Whether a handler's finish runs just now: what is put then follows from a job and did not arrive from
   * outside.
   */
  isFinishing(): boolean;
  /** Marks a claimed job dead; joins the caller's transaction. */
  bury(claimed: Buried, error: unknown, worker: Worker | undefined): void;
}

/** What is given up. */
type Buried = Pick<Claimed, "claim" | "kind" | "job">;

/** How long to wait after the registry itself refused a write (disk full, locked). */
export const REGISTRY_RETRY_MS = 1_000;

export function createAttempts(deps: AttemptsDeps): Attempts {
  const { db, jobs, clock, log, text } = deps;
  let finishing = false;

  async function run(
    job: Job<JobKind>,
    at: { claim: NamedLease; worker: Worker; signal: AbortSignal },
  ): Promise<void> {
    const startedAt = clock.monotonic();
    if (job.attempt === 1) took("job_wait_seconds", (clock.now() - job.putAt) / 1000);
    const told = (result: string) => {
      took("job_duration_seconds", (clock.monotonic() - startedAt) / 1000, { kind: job.kind });
      count("job_attempts_total", { kind: job.kind, result });
    };
    try {
      const finish = await at.worker.handler(job, contextOf(at.claim, at.signal));
      const held = await db.commitTogether(() => {
        if (!jobs.done(at.claim, clock.now())) return false;
        finishing = true;
        try {
          runFinish(finish);
        } finally {
          finishing = false;
        }
        return true;
      });
      if (!held) sayLost(job);
      told(held ? "done" : "lost");
      if (held && job.kind === "react") took("command_answer_seconds", (clock.now() - job.putAt) / 1000);
    } catch (error) {
      told("failed");
      await writeFailure(job, { ...at, error });
    }
  }

  function contextOf(claim: NamedLease, signal: AbortSignal): JobContext {
    return {
      signal,
      note: (notes) => {
        if (db.transaction(() => jobs.note(claim, notes))) return;
        throw new LazarusError("lease-lost", "noting something about a job that was ended or taken over");
      },
    };
  }

  /** Tries as often as it takes: the registry itself may be what fails. The lane stays busy meanwhile. */
  async function writeFailure(
    job: Job<JobKind>,
    at: { claim: NamedLease; worker: Worker; error: unknown },
  ): Promise<void> {
    const isInterrupted = at.error instanceof LazarusError && at.error.code === "runner-restarted";
    const inOutage = !isInterrupted && (await isOutage(job, at));
    for (;;) {
      try {
        return await db.commitTogether(() => {
          // Another attempt at once, which does not count.
          if (!isInterrupted) return putOffOrBury(job, { ...at, inOutage });
          if (!jobs.giveBack(at.claim)) sayLost(job);
        });
      } catch (error) {
        if (deps.isClosed() || !db.sql.open) return;
        log.error({ ...factsOf(job), why: text(error) }, "could not write down a failure; trying again");
        await new Promise<void>((resolve) => clock.after(REGISTRY_RETRY_MS, resolve));
      }
    }
  }

  async function isOutage(job: Job<JobKind>, at: { worker: Worker; error: unknown }): Promise<boolean> {
    if (!isRetryable(at.error)) return false;
    try {
      return (await at.worker.options.isOutage?.(job, at.error)) ?? false;
    } catch (error) {
      log.error({ ...factsOf(job), why: text(error) }, "could not tell whether this is an outage");
      return false;
    }
  }

  function putOffOrBury(
    job: Job<JobKind>,
    at: { claim: NamedLease; worker: Worker; error: unknown; inOutage: boolean },
  ): void {
    const { claim, error, worker, inOutage } = at;
    const counted = job.attempt - job.outages - job.interruptions;
    const most = isBug(error) ? Math.min(job.maxAttempts, MOST_FOR_BUGS) : job.maxAttempts;
    if (!isRetryable(error) || (counted >= most && !inOutage)) {
      bury({ claim, kind: job.kind, job }, error, worker);
      return;
    }
    const retryAt = clock.now() + (inOutage ? BACKOFF.capMs : backoffMs(counted, deps.random));
    const why = text(error);
    if (jobs.putOff(claim, { at: retryAt, error: why }, inOutage)) {
      noteAttempt(db, { job: job.id, n: job.attempt, at: clock.now(), error: why });
      const facts = { ...factsOf(job), attempt: job.attempt, retry_at: toIso(retryAt), why };
      log.warn(inOutage ? { ...facts, outage: true } : facts, "job failed and will be tried again");
      tell(job, () => worker.options.onRetry?.(job, error, retryAt));
    } else sayLost(job);
  }

  function bury({ claim, kind, job }: Buried, error: unknown, worker: Worker | undefined): void {
    const why = text(error);
    if (jobs.dead(claim, { at: clock.now(), error: why })) {
      noteAttempt(db, { job: claim.id, n: job?.attempt ?? 0, at: clock.now(), error: why });
      const facts = job === null ? { job: claim.id, kind } : { ...factsOf(job), attempt: job.attempt };
      log.error({ ...facts, why }, "job is dead");
      if (job !== null) tell(job, () => worker?.options.onDead?.(job, error));
    } else sayLost({ id: claim.id, kind });
  }

  /** Whoever is told may fail; that must not keep the job running for ever. */
  function tell(job: Job<JobKind>, told: () => void): void {
    try {
      db.transaction(told);
    } catch (error) {
      log.error({ ...factsOf(job), why: text(error) }, "could not tell that a job failed");
    }
  }

  function sayLost(job: { readonly id: string; readonly kind: string }): void {
    log.warn({ job: job.id, kind: job.kind }, "dropped the result of a job that was ended or taken over");
  }

  return { run, bury, isFinishing: () => finishing };
}

/** What nobody foresaw comes again for the same input: it must not keep a lane for hours. */
const MOST_FOR_BUGS = 3;

/** Neither an error of ours, nor one of the system or of SQLite, which have a code. */
function isBug(error: unknown): boolean {
  return !(error instanceof LazarusError) && systemCode(error) === undefined;
}

/** Whose job it was, as far as what it holds tells. */
function factsOf(job: Job<JobKind>): object {
  const { cellId, run } = subjectOf(job.payload);
  return {
    ...{ job: job.id, kind: job.kind },
    ...(cellId === null ? {} : { cell: cellId }),
    ...(run === null ? {} : { run }),
    ...("verb" in job.payload ? { verb: job.payload.verb } : {}),
  };
}

function runFinish(finish: Finish | undefined): void {
  const answer: unknown = finish?.();
  // Its effects would be made outside the transaction that marks the job done.
  if (answer instanceof Promise) throw new LazarusError("internal", "a finish must not be asynchronous");
}
