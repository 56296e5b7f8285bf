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

const MARKER = "LAZARUS_CELL=";
/** O_CLOEXEC as /proc shows it. */
const CLOSE_ON_EXEC = 0o2000000;
const COMMAND_CHARACTERS = 200;

let boot: string | null = null;

/** The kernel's id of this boot, which no process outlives. */
export function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return boot;
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

/** Text of a file of a process; null where it is gone, or somebody else's. */
export function readProc(pid: number, file: string, encoding: "latin1" | "utf8" = "latin1"): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, encoding);
  } catch {
    // Gone meanwhile, or somebody else's: both are nothing that we could act on.
    return null;
  }
}
