import { sleep, systemClock } from "../clock.ts";
import type { JobKind } from "../protocol/jobs.ts";
import type { JobRow, Queue } from "../queue/queue.ts";

/** The jobs of a cell that are not done: what its lanes hold. */
export function jobsOf(cellId: string, queue: Pick<Queue, "list">): JobRow[] {
  return queue
    .list({ states: ["waiting", "running"], limit: MOST_ROWS })
    .filter((row) => row.lane.endsWith(`:${cellId}`));
}

/** In words, each once: what of a cell waits until the forge answers again. */
export function waitsForForge(jobs: readonly JobRow[]): string[] {
  return [...new Set(jobs.filter((row) => row.inOutage).map((row) => WORDS[row.kind] ?? row.kind))];
}

/** `a, b and c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

const MOST_ROWS = 10_000;
const LOOK_MS = 150;

const WORDS: { readonly [Kind in JobKind]?: string } = {
  admit: "the check of rights before the run starts",
  start: "the start of the run",
  restore: "its return from the archive",
  publish: "publishing its work",
  push: "publishing its work",
  draft: "its draft pull request",
  card: "its card",
};

/** Says what is waited for, so that nobody looks at a silent terminal for more than five seconds. */
export interface Patience {
  /** Something was printed, or what is waited for has just begun. */
  begin(): void;
  /** To be called again and again; says `what` when it has been silent for too long. */
  wait(what: () => string): void;
}

const FIRST_MS = 4_000;
const THEN_MS = 30_000;

/** `monotonic`: milliseconds that only grow. */
export function createPatience(monotonic: () => number, say: (line: string) => void): Patience {
  let saidAt = monotonic();
  let pauseMs = FIRST_MS;
  return {
    begin() {
      saidAt = monotonic();
      pauseMs = FIRST_MS;
    },
    wait(what) {
      if (monotonic() - saidAt < pauseMs) return;
      say(what());
      saidAt = monotonic();
      pauseMs = THEN_MS;
    },
  };
}

/** What a command that was put into the job log is waiting for. */
export function whyNoAnswer(request: string, queue: Pick<Queue, "list">): string {
  const row = queue
    .list({ states: ["waiting", "running"], limit: MOST_ROWS })
    .find((one) => one.key === `cli:${request}`);
  if (row?.error != null) return `${row.error}; trying again`;
  return row?.state === "running"
    ? "the command is being run"
    : "waiting for the server that is at work here";
}

/** For an operator: why the command line went away while something waits. */
export function forgeIsAway(what: readonly string[], hasServer: boolean): string {
  const goes = hasServer ? "" : " and a server runs (lazarus serve)";
  const verb = what.length === 1 ? "waits" : "wait";
  return `The forge cannot be reached: ${listed(what)} ${verb} for it, and nothing is lost. It goes on by itself when the forge answers${goes}.`;
}

/** Waits a moment; rejects when the signal is aborted. */
export async function sleepOr(signal: AbortSignal, ms = LOOK_MS): Promise<void> {
  // The clock's timers never keep the process alive; somebody is waiting for this one.
  const held = setInterval(() => {}, 1_000);
  try {
    await sleep(systemClock, ms, signal);
  } finally {
    clearInterval(held);
  }
}
