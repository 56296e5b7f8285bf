import { readdirSync } from "node:fs";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import {
  bootId,
  type Identity,
  isLive,
  marksOf,
  type ProcessStat,
  readProc,
  readStat,
  realUidOf,
} from "./proc.ts";

/** Whose processes are looked for. */
export interface Belonging {
  readonly cellId: string;
  /** First process of the session; null: none is known. */
  readonly leader: Identity | null;
  /** Whether `LAZARUS_CELL=<id>` in an environment is enough, whatever the session. */
  readonly byMarker: boolean;
  /** One more that it began with, in a session of its own: the first process of a namespace. */
  readonly also?: Identity | null;
  /** The cell's own user: whatever runs as it is the cell's. Root and our own user are nobody's. */
  readonly uid?: number | null | undefined;
  /** Of the cell's control group. */
  readonly grouped?: ReadonlySet<number>;
}

/** Lets others have the event loop. */
export type Turn = () => Promise<unknown>;

/** How many processes are looked at before others have the event loop: each is up to three small files. */
export const PROCESSES_A_TURN = 32;

const LIST_ROUNDS = 20;
const BLURRED_MS = 30;

type Look = (one: ProcessStat) => boolean | Promise<boolean>;

/**
 * Every process of this machine that we may see, dead ones included that nobody has reaped yet; `look` is
 * called with each right after it was read. Until it has said `true` of one, what was forked meanwhile is
 * read as well: else one that forks and ends, again and again, would slip through. After `PROCESSES_A_TURN`
 * others have their turn.
 */
export async function listProcesses(look: Look = () => false, next: Turn = turn): Promise<ProcessStat[]> {
  let isEnough = false;
  const seen = new Set<string>();
  const found: ProcessStat[] = [];
  for (let round = 0; round < LIST_ROUNDS && !isEnough; round++) {
    const fresh = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !seen.has(name));
    if (fresh.length === 0) break;
    for (const name of fresh) {
      seen.add(name);
      if (seen.size % PROCESSES_A_TURN === 0) await next();
      const stat = readStat(Number(name));
      if (stat === null) continue;
      found.push(stat);
      if (await look(stat)) isEnough = true;
    }
  }
  return found;
}

/**
 * Every live process of a run or a cell: of the leader's session, marked in its environment, of its own user,
 * of its control group, or started by one of those. Never this process or one that it descends from.
 */
export async function processesOf(belonging: Belonging, next: Turn = turn): Promise<ProcessStat[]> {
  const byUser = userTest(belonging.uid ?? null);
  const byMarker = belonging.byMarker ? markerTest(belonging.cellId) : async () => false;
  const borne = new Set<number>(belonging.grouped);
  const all = await listProcesses(async (one) => {
    if (!isLive(one)) return false;
    if (!borne.has(one.pid) && (byUser(one) || (await byMarker(one)))) borne.add(one.pid);
    return borne.has(one.pid) || one.session === belonging.leader?.pid;
  }, next);
  const spared = ancestryOf(process.pid, all);
  const candidates = all.filter((one) => !spared.has(one.pid));
  const inSession = sessionTest(belonging, all);
  const first = candidates.filter(
    (one) =>
      inSession(one) ||
      (one.pid === belonging.also?.pid && one.startTicks === belonging.also.startTicks) ||
      borne.has(one.pid),
  );
  return withDescendants(first, candidates).filter(isLive);
}

function sessionTest(belonging: Belonging, all: readonly ProcessStat[]): (one: ProcessStat) => boolean {
  const { leader, cellId } = belonging;
  if (leader === null || leader.pid <= 0 || leader.bootId !== bootId()) return () => false;
  const now = all.find((one) => one.pid === leader.pid);
  if (now !== undefined) {
    // A number is not given out again while a session bears it: another start time means that ours is empty.
    return now.startTicks === leader.startTicks ? (one) => one.session === leader.pid : () => false;
  }
  return (one) =>
    one.session === leader.pid &&
    one.startTicks >= leader.startTicks &&
    marksOf(one.pid).every((mark) => mark === cellId);
}

/**
 * A process that is just executing a program has no words and no environment for that instant, nor has one
 * that is just dying: those are looked at again, a little while in all. Kernel threads (children of 2) never
 * have any.
 */
function markerTest(cellId: string): (one: ProcessStat) => Promise<boolean> {
  let patience = BLURRED_MS;
  return async (one) => {
    for (;;) {
      if (marksOf(one.pid).includes(cellId)) return true;
      if (one.pid === 2 || one.parent === 2) return false;
      const isBlurred = readProc(one.pid, "environ") === "" && readProc(one.pid, "cmdline") === "";
      if (!isBlurred) return false;
      const now = readStat(one.pid);
      if (now === null || !isLive(now) || patience <= 0) return false;
      patience -= 1;
      await pause(1);
    }
  };
}

function userTest(uid: number | null): (one: ProcessStat) => boolean {
  if (uid === null || uid === 0 || uid === process.getuid?.()) return () => false;
  return (one) => realUidOf(one.pid) === uid;
}

function withDescendants(first: readonly ProcessStat[], candidates: readonly ProcessStat[]): ProcessStat[] {
  const children = new Map<number, ProcessStat[]>();
  for (const one of candidates) {
    const brothers = children.get(one.parent);
    if (brothers === undefined) children.set(one.parent, [one]);
    else brothers.push(one);
  }
  const found = new Map<number, ProcessStat>();
  const open = [...first];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (found.has(one.pid)) continue;
    found.set(one.pid, one);
    open.push(...(children.get(one.pid) ?? []));
  }
  return [...found.values()];
}

function ancestryOf(pid: number, all: readonly ProcessStat[]): Set<number> {
  const parents = new Map(all.map((one) => [one.pid, one.parent]));
  const found = new Set<number>();
  for (let at: number | undefined = pid; at !== undefined && at > 0 && !found.has(at); at = parents.get(at)) {
    found.add(at);
  }
  return found;
}
