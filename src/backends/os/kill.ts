import { setTimeout as pause } from "node:timers/promises";
import { type ProcessStat, readStat } from "./proc.ts";

const POLL_MS = 25;
/** How much longer than a look takes nobody looks again: a crowd is not to have the machine twice. */
const REST = 4;
const SECOND_LOOK_MS = 5;
const KILL_FOR_MS = 10_000;
const FREEZE_ROUNDS = 50;

/** Whether a process is asked to end before it is killed; `all` is what was found with it. */
export type IsAsked = (one: ProcessStat, all: readonly ProcessStat[]) => boolean;

/** What is to be ended. */
export interface Quarry {
  readonly find: () => Promise<ProcessStat[]>;
  /**
   * Kills at one stroke what would fork faster than it can be looked for: a control group, a namespace, a
   * user. What it misses is killed one by one.
   */
  readonly strike?: (found: readonly ProcessStat[]) => Promise<void>;
  readonly isAsked?: IsAsked;
}

/**
 * Ends every process that `find` finds: TERM once to each that `isAsked` (as soon as there is one), KILL to
 * what lives after `graceMs`, again until nothing is left or ten seconds have passed. Answers what still
 * lives.
 */
export async function endProcesses(quarry: Quarry, graceMs: number): Promise<ProcessStat[]> {
  const { find, strike, isAsked = () => true } = quarry;
  let asked = 0;
  const look = async () => {
    const found = await find();
    if (asked === 0) asked = ask(found.filter((one) => isAsked(one, found)));
    return found;
  };
  let left = await leftAfter(look, graceMs);
  const deadline = performance.now() + KILL_FOR_MS;
  while (left.length > 0 && performance.now() < deadline) {
    await strike?.(left);
    killGroups(left);
    left = await leftAfter(find, POLL_MS);
    if (left.length === 0) return [];
    await freeze(find, deadline);
    for (const one of await find()) signal(one, "SIGKILL");
    left = await leftAfter(find, 4 * POLL_MS);
  }
  return left;
}

function ask(whom: readonly ProcessStat[]): number {
  for (const one of whom) {
    signal(one, "SIGTERM");
    // A stopped process would sleep through its notice.
    signal(one, "SIGCONT");
  }
  return whom.length;
}

/**
 * Whole process groups of theirs, which no fork outruns: the kernel holds forks back meanwhile. A group is
 * theirs where its leader was found: whoever joined it came from the same session.
 */
function killGroups(found: readonly ProcessStat[]): void {
  for (const leader of found.filter((one) => one.group === one.pid)) {
    if (readStat(leader.pid)?.startTicks !== leader.startTicks) continue;
    sendSignal(-leader.pid, "SIGKILL");
  }
}

/** Stops them all before any is killed, so that nothing can fork a successor while the others die. */
async function freeze(find: Quarry["find"], deadline: number): Promise<void> {
  const frozen = new Set<string>();
  for (let round = 0; round < FREEZE_ROUNDS && performance.now() < deadline; round++) {
    const fresh = (await find()).filter((one) => !frozen.has(`${one.pid} ${one.startTicks}`));
    if (fresh.length === 0) return;
    for (const one of fresh) {
      signal(one, "SIGSTOP");
      frozen.add(`${one.pid} ${one.startTicks}`);
    }
  }
}

/**
 * Waits up to `ms` for `find` to find nothing, twice in a row and apart: a single look may miss what forks
 * during it, and what just executes something has for an instant no environment to be known by. Answers what
 * it found last.
 */
async function leftAfter(find: Quarry["find"], ms: number): Promise<ProcessStat[]> {
  const deadline = performance.now() + ms;
  for (;;) {
    const began = performance.now();
    let found = await find();
    if (found.length === 0) {
      await pause(SECOND_LOOK_MS);
      found = await find();
    }
    const now = performance.now();
    if (found.length === 0 || now >= deadline) return found;
    await pause(Math.min(Math.max(POLL_MS, REST * (now - began)), Math.max(POLL_MS, deadline - now)));
  }
}

type Signal = "SIGTERM" | "SIGCONT" | "SIGSTOP" | "SIGKILL";

/** To that very process. */
export function signal(target: ProcessStat, name: Signal): void {
  if (readStat(target.pid)?.startTicks === target.startTicks) sendSignal(target.pid, name);
}

/** To a process, or to a group of them by its number below 0; whoever is gone is no error. */
export function sendSignal(pid: number, name: Signal): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone meanwhile; or another user's, and then it is named among what still lives.
  }
}
