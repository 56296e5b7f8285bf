import { setTimeout as pause } from "node:timers/promises";
import { type Ask, type JobRow, peek, tamper } from "./peek.ts";
import type { World } from "./world.ts";

const STEP_MS = 200;
/** Twice in a row, so far apart: a watch looks every 300 ms, and what it sees becomes a job. */
const QUIET_MS = 1_500;

interface Unrest {
  readonly jobs: readonly JobRow[];
  readonly runs: number;
}

function unrest(ask: Ask): Unrest {
  return {
    jobs: ask<JobRow>("SELECT * FROM jobs WHERE state IN ('waiting', 'running')"),
    runs: ask(
      "SELECT 1 FROM runs WHERE state IN ('waiting', 'admitted', 'running') AND cell NOT IN (SELECT id FROM cells WHERE waits_for_approval = 1)",
    ).length,
  };
}

/**
 * Waits until no job is open and no run alive, setting the clock forward over the pauses between retries. Answers what is
 * still open when the deadline has passed; empty when it came to rest.
 */
export async function comeToRest(world: World, clock: { ms: number }, deadlineMs: number): Promise<string[]> {
  const end = performance.now() + deadlineMs;
  let quietSince: number | null = null;
  for (;;) {
    const now = peek(world.dataDir, unrest);
    const isQuiet = now !== null && now.jobs.length === 0 && now.runs === 0 && world.postman.isIdle;
    if (isQuiet) {
      quietSince ??= performance.now();
      if (performance.now() - quietSince > QUIET_MS) return [];
    } else quietSince = null;
    if (performance.now() > end) return describe(now);
    if (now !== null) hurry(world, clock, now);
    await pause(STEP_MS);
  }
}

/** Where everything waits for a later time, that time comes. */
function hurry(world: World, clock: { ms: number }, now: Unrest): void {
  const at = Date.now() + clock.ms;
  const soonest = Math.min(...now.jobs.map((job) => job.not_before));
  if (now.jobs.length === 0 || now.jobs.some((job) => job.state === "running") || soonest - at < 1_000)
    return;
  clock.ms += soonest - at;
  world.victim.setClock(clock.ms);
  // A foreign write wakes the queue.
  tamper(world.dataDir, "INSERT OR REPLACE INTO facts (name, value) VALUES ('storm', ?)", String(clock.ms));
}

function describe(now: Unrest | null): string[] {
  if (now === null) return ["the registry cannot be read"];
  const jobs = now.jobs.map(
    (job) => `${job.state} job ${job.kind} (attempt ${job.attempt}): ${job.error ?? "no error"}`,
  );
  return [...jobs, ...(now.runs > 0 ? [`${now.runs} runs in line or alive`] : [])];
}
