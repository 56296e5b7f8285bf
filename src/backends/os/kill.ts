import { setTimeout as pause } from "node:timers/promises";
import { type ProcessStat, readStat } from "./proc.ts";

const POLL_MS = 25;
const SECOND_LOOK_MS = 5;
const KILL_FOR_MS = 10_000;
const FREEZE_ROUNDS = 50;

/** Whether a process is asked to end before it is killed; `all` is what was found with it. */
export type IsAsked = (one: ProcessStat, all: readonly ProcessStat[]) => boolean;

/**
 * Ends every process that `find` finds: TERM once to each that `isAsked` (as soon as there is one), KILL to
 * what lives after `graceMs`, again until nothing is left or ten seconds have passed. Answers what still
 * lives.
 */
export async function endProcesses(
  find: () => ProcessStat[],
  graceMs: number,
  isAsked: IsAsked = () => true,
): Promise<ProcessStat[]> {
  let asked = 0;
  const look = () => {
    const found = find();
    if (asked === 0) asked = ask(found.filter((one) => isAsked(one, found)));
    return found;
  };
  if (await isEmptyWithin(look, graceMs)) return [];
  const deadline = performance.now() + KILL_FOR_MS;
  do {
    freeze(find);
    for (const one of find()) signal(one, "SIGKILL");
    if (await isEmptyWithin(find, 4 * POLL_MS)) return [];
  } while (performance.now() < deadline);
  return find();
}

function ask(whom: readonly ProcessStat[]): number {
  for (const one of whom) {
    signal(one, "SIGTERM");
    // A stopped process would sleep through its notice.
    signal(one, "SIGCONT");
  }
  return whom.length;
}

/** Stops them all before any is killed, so that nothing can fork a successor while the others die. */
function freeze(find: () => ProcessStat[]): void {
  const frozen = new Set<string>();
  for (let round = 0; round < FREEZE_ROUNDS; round++) {
    const fresh = find().filter((one) => !frozen.has(`${one.pid} ${one.startTicks}`));
    if (fresh.length === 0) return;
    for (const one of fresh) {
      signal(one, "SIGSTOP");
      frozen.add(`${one.pid} ${one.startTicks}`);
    }
  }
}

/**
 * Waits up to `ms` for `find` to find nothing, twice in a row and apart: a single look may miss what forks
 * during it, and what just executes something has for an instant no environment to be known by.
 */
async function isEmptyWithin(find: () => ProcessStat[], ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  for (;;) {
    if (find().length === 0) {
      await pause(SECOND_LOOK_MS);
      if (find().length === 0) return true;
    }
    if (performance.now() >= deadline) return false;
    await pause(POLL_MS);
  }
}

function signal(target: ProcessStat, name: "SIGTERM" | "SIGCONT" | "SIGSTOP" | "SIGKILL"): void {
  if (readStat(target.pid)?.startTicks !== target.startTicks) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // Gone meanwhile; or another user's, and then it is named among what still lives.
  }
}
