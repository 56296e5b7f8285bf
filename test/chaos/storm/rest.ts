import { setTimeout as pause } from "node:timers/promises";
import { type Ask, type JobRow, peek, tamper } from "./peek.ts";
import type { World } from "./world.ts";

const STEP_MS = 200;
/** Twice in a row, so far apart: a watch looks every 300 ms, and what it sees becomes a job. */
const QUIET_MS = 1_500;

/** Of a crash that is tried for the second time: four minutes. */
const LONGEST_RETRY_MS = 5 * 60_000;

interface Unrest {
  readonly jobs: readonly JobRow[];
  /**
   * How many jobs came to their end: as long as it grows, something is being done. Looks and cards come again
   * and again, whether anything goes on or not.
   */
  readonly ended: number;
  /** And checks. */
  readonly runs: number;
  /** When the last run that is to be tried again is due, epoch ms; 0: none waits. */
  readonly retryAt: number;
}

function unrest(ask: Ask): Unrest {
  return {
    ended:
      ask<{ n: number }>(
        "SELECT count(*) AS n FROM jobs WHERE ended_at IS NOT NULL AND kind NOT IN ('card', 'thread', 'health', 'used')",
      )[0]?.n ?? 0,
    jobs: ask<JobRow>("SELECT * FROM jobs WHERE state IN ('waiting', 'running')"),
    runs:
      ask(
        "SELECT 1 FROM runs WHERE state IN ('waiting', 'admitted', 'running') AND cell NOT IN (SELECT id FROM cells WHERE waits_for_approval = 1)",
      ).length + ask("SELECT 1 FROM checks WHERE state IN ('waiting', 'running')").length,
    retryAt:
      ask<{ at: number | null }>("SELECT max(not_before) AS at FROM runs WHERE state = 'waiting'")[0]?.at ??
      0,
  };
}

/**
 * Waits until no job is open and no run alive, and cuts the pauses between retries short.
 * Answers what is still open when nothing came to its end for `patienceMs`; empty when it came to rest.
 */
export async function comeToRest(
  world: World,
  clock: { readonly ms: number },
  patienceMs: number,
): Promise<string[]> {
  let end = performance.now() + patienceMs;
  let ended = 0;
  let quietSince: number | null = null;
  for (;;) {
    const now = peek(world.dataDir, unrest);
    const isQuiet = now !== null && now.jobs.length === 0 && now.runs === 0 && world.postman.isIdle;
    if (isQuiet) {
      quietSince ??= performance.now();
      if (performance.now() - quietSince > QUIET_MS) return [];
    } else quietSince = null;
    if (now !== null && now.ended > ended) {
      ended = now.ended;
      end = performance.now() + patienceMs;
    }
    // What is tried again after a while is not stuck, as long as that while is one that Lazarus would wait.
    const retryMs = (now?.retryAt ?? 0) - Date.now() - clock.ms;
    if (retryMs > 0 && retryMs < LONGEST_RETRY_MS)
      end = Math.max(end, performance.now() + retryMs + patienceMs);
    if (performance.now() > end) return describe(now);
    if (now !== null) hurry(world, clock, now);
    await pause(STEP_MS);
  }
}

/**
 * Where everything waits for a later time, that time comes. By the rows, of jobs and of what cards
 * show, and not by the clock, with which Lazarus would move what waits.
 */
function hurry(world: World, clock: { readonly ms: number }, now: Unrest): void {
  const at = Date.now() + clock.ms;
  const later = now.jobs.filter((job) => job.not_before > at + 1_000);
  // What is due and does not run waits in the lane of one that is not.
  if (later.length === 0 || now.jobs.some((job) => job.state === "running")) return;
  const soonest = Math.min(...later.map((job) => job.not_before));
  const ms = soonest - at;
  tamper(
    world.dataDir,
    `UPDATE cells SET card_shown = json_set(card_shown, '$.at', card_shown ->> '$.at' - @ms,
       '$.wordsAt', card_shown ->> '$.wordsAt' - @ms) WHERE card_shown IS NOT NULL`,
    { ms },
  );
  // A foreign write wakes the queue.
  tamper(world.dataDir, "UPDATE jobs SET not_before = not_before - @ms WHERE state = 'waiting'", { ms });
}

function describe(now: Unrest | null): string[] {
  if (now === null) return ["the registry cannot be read"];
  const jobs = now.jobs.map(
    (job) => `${job.state} job ${job.kind} (attempt ${job.attempt}): ${job.error ?? "no error"}`,
  );
  return [...jobs, ...(now.runs > 0 ? [`${now.runs} runs or checks in line or alive`] : [])];
}
