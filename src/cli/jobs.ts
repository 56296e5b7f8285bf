import { audit } from "../cells/registry/audit.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { age, columns } from "../commands/words/status-row.ts";
import type { Config } from "../config/config.ts";
import { openParts } from "../control.ts";
import { explain, LazarusError } from "../errors.ts";
import { silentLog } from "../log.ts";
import { changeJob } from "../queue/change-job.ts";
import { viewOfJob } from "../queue/job-view.ts";
import type { JobRow } from "../queue/queue.ts";
import { prepareDataDir } from "../store/lock.ts";
import { operatorName } from "./ask.ts";

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
    const entry = {
      ...({
        at: clock.now(),
        who: operatorName(),
        whoId: null,
        via: "command line",
        cell: null,
        why: null,
      } as const),
      ...{ verb: `jobs ${action}`, subject: `job ${job.id.slice(0, 8)} (${job.kind})` },
    };
    try {
      changeJob(queue, action, job);
    } catch (error) {
      audit(db).add({ ...entry, result: "refused", reason: explain(error) });
      throw error;
    }
    audit(db).add({ ...entry, result: "done", reason: null });
    const done = action === "retry" ? "is tried again" : "is dropped";
    return { exitCode: 0, text: `job ${job.id.slice(0, 8)} (${job.kind}) ${done}`, data: { id: job.id } };
  } finally {
    db.close();
  }
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
