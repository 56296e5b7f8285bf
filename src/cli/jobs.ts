import { toIso } from "../clock.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { age, columns } from "../commands/words/status-row.ts";
import type { Config } from "../config/config.ts";
import { openParts } from "../control.ts";
import { LazarusError } from "../errors.ts";
import { silentLog } from "../log.ts";
import type { JobRow, Queue } from "../queue/queue.ts";
import { prepareDataDir } from "../store/lock.ts";

const MOST_JOBS = 1_000;

/**
 * `lazarus jobs [list|retry ID|drop ID]`: what waits, runs and died in the job log.
 * @throws LazarusError `usage` for what cannot be done to that job, `not-found` where no single open job has
 * that id.
 */
export function runJobs(config: Config, action: string, id: string | undefined): StoredAnswer {
  prepareDataDir(config.dataDir);
  const { db, queue, clock } = openParts(config, { log: silentLog });
  try {
    const open = queue.list({ states: ["waiting", "running", "dead"], limit: MOST_JOBS });
    if (action === "list")
      return { exitCode: 0, text: table(open, clock.now()), data: { jobs: open.map(viewOfJob) } };
    if (action !== "retry" && action !== "drop") {
      throw new LazarusError("usage", `jobs ${action}: there is list, retry and drop`);
    }
    const job = pick(open, action, id);
    change(queue, action, job);
    const done = action === "retry" ? "is tried again" : "is dropped";
    return { exitCode: 0, text: `job ${job.id.slice(0, 8)} (${job.kind}) ${done}`, data: { id: job.id } };
  } finally {
    db.close();
  }
}

/** A job as programs see it: times in RFC 3339. */
function viewOfJob({ maxAttempts, putAt, notBefore, endedAt, inOutage, ...job }: JobRow): object {
  return {
    ...job,
    max_attempts: maxAttempts,
    in_outage: inOutage,
    put_at: toIso(putAt),
    not_before_at: toIso(notBefore),
    ended_at: endedAt === null ? null : toIso(endedAt),
  };
}

function table(jobs: readonly JobRow[], now: number): string {
  const rows = jobs.map((job) => [
    job.id.slice(0, 8),
    job.queue,
    job.kind,
    job.state,
    `${job.attempt - job.outages}/${job.maxAttempts}`,
    age(now - job.putAt),
    `${job.inOutage ? "waits for the forge: " : ""}${job.error ?? ""}`,
  ]);
  return columns([["JOB", "QUEUE", "KIND", "STATE", "TRIED", "AGE", "LAST ERROR"], ...rows]);
}

function pick(open: readonly JobRow[], action: string, id: string | undefined): JobRow {
  const found = open.filter((job) => id !== undefined && id.length >= 4 && job.id.startsWith(id));
  const [job] = found;
  if (job === undefined || found.length > 1) {
    throw new LazarusError(
      "not-found",
      `jobs ${action}: no single open job ${id ?? ""}; lazarus jobs lists them`,
    );
  }
  return job;
}

/**
 * A start that failed has told its cell so, and one that waits holds a place: the verbs are the way to deal
 * with both.
 */
function change(queue: Queue, action: "retry" | "drop", job: JobRow): void {
  if (action === "retry" && job.kind === "start") {
    throw new LazarusError(
      "usage",
      `jobs retry: the cell has given up on job ${job.id.slice(0, 8)}; lazarus revive it, or summon again`,
    );
  }
  if (action === "drop" && job.queue === "cells" && job.state !== "dead") {
    throw new LazarusError(
      "usage",
      `jobs drop: job ${job.id.slice(0, 8)} belongs to a cell at work; lazarus stop it, or close it`,
    );
  }
  const done = action === "retry" ? queue.retry(job.id) : queue.drop(job.id);
  if (!done) throw new LazarusError("usage", `jobs ${action}: job ${job.id.slice(0, 8)} is ${job.state}`);
}
