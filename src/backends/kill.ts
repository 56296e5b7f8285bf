import { setTimeout as pause } from "node:timers/promises";
import { type ProcessStat, readStat } from "./proc.ts";

const POLL_MS = 25;
const KILL_FOR_MS = 10_000;
const FREEZE_ROUNDS = 50;

/**
 * Ends every process that `find` finds: TERM once to each, KILL to what lives after `graceMs`, again until nothing is left or
 * ten seconds have passed. Answers what still lives.
 */
export async function endProcesses(find: () => ProcessStat[], graceMs: number): Promise<ProcessStat[]> {
  for (const one of find()) {
    signal(one, "SIGTERM");
    // A stopped process would sleep through its notice.
    signal(one, "SIGCONT");
  }
  if (await isEmptyWithin(find, graceMs)) return [];
  const deadline = performance.now() + KILL_FOR_MS;
  do {
    freeze(find);
    for (const one of find()) signal(one, "SIGKILL");
    if (await isEmptyWithin(find, 4 * POLL_MS)) return [];
  } while (performance.now() < deadline);
  return find();
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

/** Waits up to `ms` for `find` to find nothing, twice in a row: a single look may miss what forks during it. */
async function isEmptyWithin(find: () => ProcessStat[], ms: number): Promise<boolean> {
  const deadline = performance.now() + ms;
  for (;;) {
    if (find().length === 0 && find().length === 0) return true;
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
