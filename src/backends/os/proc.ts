import { readdirSync, readFileSync } from "node:fs";
import type { ProcessInfo } from "../backend.ts";

/** One line of /proc/<pid>/stat, as far as we need it. @see proc_pid_stat(5) */
export interface ProcessStat {
  readonly pid: number;
  /** One letter; `Z` and `X` are dead. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot. */
  readonly startTicks: number;
}

/** What makes a pid an identity: numbers are reused, also across reboots. */
export interface Identity {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

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
}

const MARKER = "LAZARUS_CELL=";
/** O_CLOEXEC as /proc shows it. */
const CLOSE_ON_EXEC = 0o2000000;
const LIST_ROUNDS = 20;
const BLURRED_MS = 30;
const NEVER_WOKEN = new Int32Array(new SharedArrayBuffer(4));
const COMMAND_CHARACTERS = 200;

/** The kernel's id of this boot. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}

/**
 * How often the kernel has killed for lack of memory since this boot, in all; null where it does not say.
 * @see proc_vmstat(5)
 */
export function oomKills(): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "latin1"))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    // A sandboxed kernel has no such file: then nobody can tell.
    return null;
  }
}

/** The process with that pid, dead ones included that nobody has reaped yet; null when there is none. */
export function readStat(pid: number): ProcessStat | null {
  const text = readProc(pid, "stat");
  if (text === null) return null;
  // The name in parentheses may itself hold blanks and parentheses: what counts begins after the last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0] ?? "X",
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
  };
}

/**
 * Every process of this machine that we may see, dead ones included that nobody has reaped yet; `look` is
 * called with each right after it was read. What was forked meanwhile is read as well: else one that forks
 * and ends, again and again, would slip through.
 */
export function listProcesses(look: (one: ProcessStat) => void = () => {}): ProcessStat[] {
  const seen = new Set<string>();
  const found: ProcessStat[] = [];
  for (let round = 0; round < LIST_ROUNDS; round++) {
    const fresh = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && !seen.has(name));
    if (fresh.length === 0) break;
    for (const name of fresh) {
      seen.add(name);
      const stat = readStat(Number(name));
      if (stat === null) continue;
      found.push(stat);
      look(stat);
    }
  }
  return found;
}

/** Whether it can still do anything. */
export function isLive(process: ProcessStat): boolean {
  return process.state !== "Z" && process.state !== "X";
}

/** Whether this very process lives: same boot, same start time, no zombie. */
export function isAlive(identity: Identity): boolean {
  if (identity.pid <= 0 || identity.bootId !== bootId()) return false;
  const stat = readStat(identity.pid);
  return stat !== null && stat.startTicks === identity.startTicks && isLive(stat);
}

/** Values of `LAZARUS_CELL` that a process was started with; empty where we may not look. */
export function marksOf(pid: number): string[] {
  return (readProc(pid, "environ", "utf8") ?? "")
    .split("\0")
    .filter((entry) => entry.startsWith(MARKER))
    .map((entry) => entry.slice(MARKER.length));
}

/** Its real user id; null when it is gone. */
export function realUidOf(pid: number): number | null {
  const uid = /^Uid:\t(\d+)/m.exec(readProc(pid, "status") ?? "")?.[1];
  return uid === undefined ? null : Number(uid);
}

/** Its argument vector; empty for kernel threads and the dead. */
export function argumentsOf(pid: number): string[] {
  const text = readProc(pid, "cmdline", "utf8") ?? "";
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/**
 * Our own open files that every child would get: what is not marked close-on-exec. Node marks all that it
 * opens.
 */
export function inheritedFds(): number[] {
  const open = readdirSync("/proc/self/fdinfo").map(Number);
  return open.filter((fd) => {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readProc(process.pid, `fdinfo/${fd}`) ?? "")?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  });
}

/** A process as people are shown it: one short line without control characters. */
export function toInfo(process: ProcessStat): ProcessInfo {
  const words = argumentsOf(process.pid).join(" ");
  const line = words === "" ? (readProc(process.pid, "comm") ?? "?").trim() : words;
  return { pid: process.pid, command: line.replace(/\p{Cc}+/gu, " ").slice(0, COMMAND_CHARACTERS) };
}

/**
 * Every live process of a run or a cell: of the leader's session, marked in its environment, of its own user,
 * or started by one of those. Never this process or one that it descends from.
 */
export function processesOf(belonging: Belonging): ProcessStat[] {
  const byUser = userTest(belonging.uid ?? null);
  const byMarker = belonging.byMarker ? markerTest(belonging.cellId) : () => false;
  const borne = new Set<number>();
  const all = listProcesses((one) => {
    if (isLive(one) && (byUser(one) || byMarker(one))) borne.add(one.pid);
  });
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
function markerTest(cellId: string): (one: ProcessStat) => boolean {
  const deadline = performance.now() + BLURRED_MS;
  return (one) => {
    for (;;) {
      if (marksOf(one.pid).includes(cellId)) return true;
      if (one.pid === 2 || one.parent === 2) return false;
      const isBlurred = readProc(one.pid, "environ") === "" && readProc(one.pid, "cmdline") === "";
      if (!isBlurred) return false;
      const now = readStat(one.pid);
      if (now === null || !isLive(now) || performance.now() > deadline) return false;
      Atomics.wait(NEVER_WOKEN, 0, 0, 1);
    }
  };
}

function userTest(uid: number | null): (one: ProcessStat) => boolean {
  if (uid === null || uid === 0 || uid === process.getuid?.()) return () => false;
  return (one) => realUidOf(one.pid) === uid;
}

function withDescendants(first: readonly ProcessStat[], candidates: readonly ProcessStat[]): ProcessStat[] {
  const children = new Map<number, ProcessStat[]>();
  for (const one of candidates) children.set(one.parent, [...(children.get(one.parent) ?? []), one]);
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

function readProc(pid: number, file: string, encoding: "latin1" | "utf8" = "latin1"): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, encoding);
  } catch {
    // Gone meanwhile, or somebody else's: both are nothing that we could act on.
    return null;
  }
}
