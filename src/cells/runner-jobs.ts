import { LazarusError } from "../errors.ts";
import { JOBS, type JobKind, type JobPayload } from "../protocol/jobs.ts";
import type { AnyReport, RunnerKind } from "../protocol/reports.ts";
import type { RunnerPort } from "../protocol/runner-port.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import { subjectOf } from "../protocol/subject.ts";
import type { Handler, Handlers, Job, NewJob, Queue } from "../queue/queue.ts";
import type { Registry } from "./registry/registry.ts";

/** Of a registry that only ever had one. */
export const LOCAL_RUNNER = "local";

const RUNNER_KINDS = (Object.keys(JOBS) as JobKind[]).filter(
  (kind): kind is RunnerKind => JOBS[kind].queue === "cells",
);

interface RunnerJobDeps {
  readonly registry: Pick<Registry, "cell">;
  readonly queue: Pick<Queue, "put">;
  /**
   * The forge answers to this repository's name with another one. Where that is known now, the job is tried
   * again; else why it is lost.
   */
  onMoved(repository: RepositoryRef): Promise<string | null>;
}

/**
 * Handlers that have a cell's jobs done by the runner it belongs to. What comes of one is written down in the
 * transaction that ends the job: its reports are jobs themselves.
 */
export function createRunnerHandlers(
  runners: { get(name: string): Pick<RunnerPort, "do"> | undefined },
  { registry, queue, onMoved }: RunnerJobDeps,
): Handlers {
  const handler: Handler<RunnerKind> = async (job, { signal, note }) => {
    const { id, kind, key, lane, payload, attempt } = job;
    // It came back there since.
    if ("on" in payload && registry.cell(payload.cellId)?.runner === payload.on) return undefined;
    const runner = runners.get(runnerOf(payload, registry));
    if (runner === undefined) throw gone(payload, registry);
    const isSuspect = killsOf(job) >= MOST_KILLS - 1;
    // There it comes after what the runner still has in hand of the cell.
    const thereIn = "on" in payload ? `cell:${payload.cellId}` : lane;
    const asked = { id, kind, key, lane: thereIn, payload, attempt, isSuspect };
    const { reports } = await runner.do(asked, signal).catch(async (error) => {
      if (isRestarted(error)) throw counted(job, error, note);
      const isMoved = error instanceof LazarusError && error.code === "repository-moved";
      const repository = isMoved ? repositoryOf(payload) : null;
      const lost = repository === null ? null : await onMoved(repository);
      throw lost === null ? error : new LazarusError("forge-refused", lost, { cause: error });
    });
    return () => {
      for (const report of reports) queue.put(reportJob(report));
    };
  };
  return Object.fromEntries(RUNNER_KINDS.map((kind) => [kind, handler]));
}

/** A job that its runner was killed at so often in a row is what kills it. */
const MOST_KILLS = 3;

function killsOf({ notes }: Pick<Job<JobKind>, "notes">): number {
  return typeof notes.kills === "number" ? notes.kills : 0;
}

function isRestarted(error: unknown): error is LazarusError & { readonly wasAlone: boolean } {
  return error instanceof LazarusError && error.code === "runner-restarted";
}

/**
 * Another attempt, unless this job was at work alone when its runner died for the last time. Of several
 * nobody knows which one it was.
 */
function counted(
  job: Job<RunnerKind>,
  error: LazarusError & { readonly wasAlone: boolean },
  note: (notes: Record<string, unknown>) => void,
): LazarusError {
  const kills = Math.min(killsOf(job) + 1, error.wasAlone ? MOST_KILLS : MOST_KILLS - 1);
  if (kills >= MOST_KILLS)
    return new LazarusError(
      "runner-gone",
      `the runner died ${MOST_KILLS} times in a row while it was at work on this`,
    );
  note({ kills });
  return error;
}

/** Tells the jobs that runners have which are no part of this process; `runners`: those that are. */
export function jobsElsewhere(
  runners: ReadonlyMap<string, unknown>,
  registry: Pick<Registry, "cell">,
): (job: Job<JobKind>) => boolean {
  return ({ kind, payload }) => JOBS[kind].queue === "cells" && !runners.has(runnerOf(payload, registry));
}

/**
 * A report as the job that works it off, in the lane of its cell. Of how a run is, only the last is of
 * interest: one that still waits becomes this one.
 */
export function reportJob({ kind, key, payload }: AnyReport): NewJob<JobKind> {
  const lane = `cell:${payload.cellId}`;
  if (kind !== "health") return { kind, key, lane, payload };
  return { kind, key, lane, payload, merge: { tag: `health:${payload.cellId}`, fold: (_, fresh) => fresh } };
}

function repositoryOf(payload: JobPayload<RunnerKind>): RepositoryRef | null {
  if ("repository" in payload) return payload.repository;
  return "cell" in payload ? payload.cell.repository : null;
}

function runnerOf(payload: JobPayload<JobKind>, registry: Pick<Registry, "cell">): string {
  if ("on" in payload) return payload.on;
  const { cellId } = subjectOf(payload);
  return (cellId === null ? null : registry.cell(cellId)?.runner) ?? LOCAL_RUNNER;
}

function gone(payload: JobPayload<RunnerKind>, registry: Pick<Registry, "cell">): LazarusError {
  const name = runnerOf(payload, registry);
  return new LazarusError("runner-gone", `the cell lies on the runner ${name}, which is not here`, {
    retryable: true,
  });
}
