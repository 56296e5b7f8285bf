import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../../../errors.ts";
import type { Surroundings } from "../../backend.ts";
import { sendSignal } from "../kill.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** A shell, setpriv and bubblewrap with its first process, the relay with its threads: they are ours. */
const OURS = 16;
/** Half of what everything else has while the machine is busy, as containers get it. */
const CPU_WEIGHT = { unified: "50", v1: "512" } as const;

/** Writes what a group may use. */
export function limitGroup(
  dir: string,
  { isUnified, controllers }: Hierarchy,
  limits: Pick<Surroundings["limits"], "memoryBytes" | "processes">,
): void {
  const none = isUnified ? "max" : "-1";
  const processes = limits.processes === null ? "max" : String(limits.processes + OURS);
  if (controllers.includes("memory")) limitMemory(dir, isUnified, String(limits.memoryBytes ?? none));
  if (controllers.includes("pids")) write(dir, "pids.max", processes);
  if (controllers.includes("cpu"))
    write(dir, isUnified ? "cpu.weight" : "cpu.shares", isUnified ? CPU_WEIGHT.unified : CPU_WEIGHT.v1);
}

function limitMemory(dir: string, isUnified: boolean, most: string): void {
  if (isUnified) {
    write(dir, "memory.max", most);
    // What is swapped out would not count.
    if (existsSync(join(dir, "memory.swap.max"))) write(dir, "memory.swap.max", most === "max" ? most : "0");
    return;
  }
  const both = "memory.memsw.limit_in_bytes";
  const hasSwap = existsSync(join(dir, both));
  // Memory with swap is never less than memory.
  if (hasSwap) write(dir, both, "-1");
  write(dir, "memory.limit_in_bytes", most);
  if (hasSwap) write(dir, both, most);
}

function write(dir: string, file: string, text: string): void {
  writeFileSync(join(dir, file), text);
}

/**
 * Processes in a group; none where it is not there. The kernel writes 0 for one that we cannot see, and to
 * signal that would hit our own.
 */
export function membersOf(dir: string): number[] {
  const pids = read(dir, "cgroup.procs").split("\n").map(Number);
  return pids.filter((pid) => pid > 1 && pid !== process.pid);
}

/**
 * Kills all in a group, at one stroke where the kernel can. Where it cannot, nothing in it can fork any more
 * before it is killed.
 * @see cgroup.kill of cgroup-v2 in the kernel's documentation, since Linux 5.14
 */
export function killGroup(dir: string): void {
  const tryTo = (file: string, text: string) => {
    if (!existsSync(join(dir, file))) return false;
    try {
      write(dir, file, text);
      return true;
    } catch {
      // Gone meanwhile, or not ours: what lives is killed one by one.
      return false;
    }
  };
  if (tryTo("cgroup.kill", "1")) return;
  tryTo("pids.max", "0");
  for (const pid of membersOf(dir)) sendSignal(pid, "SIGKILL");
}

/** How often the kernel killed one of its processes for lack of memory; null where it does not say. */
export function oomKillsIn(dir: string): number | null {
  for (const file of ["memory.events", "memory.oom_control"]) {
    const count = /^oom_kill (\d+)$/m.exec(read(dir, file))?.[1];
    if (count !== undefined) return Number(count);
  }
  return null;
}

/** Whether it ever came to its own limit of memory. */
export function cameToLimit(dir: string): boolean {
  const unified = /^oom (\d+)$/m.exec(read(dir, "memory.events"))?.[1];
  if (unified !== undefined) return Number(unified) > 0;
  // Newer kernels no longer count in memory.failcnt.
  const [most, limit] = ["memory.max_usage_in_bytes", "memory.limit_in_bytes"].map((file) =>
    Number.parseInt(read(dir, file), 10),
  );
  return most !== undefined && limit !== undefined && most >= limit;
}

/** Whether it is gone now: one that holds processes is not. */
export function removeGroup(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    return systemCode(error) === "ENOENT";
  }
}

/** Names of the groups in a directory. */
export function groupsIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []));
  } catch {
    return [];
  }
}

function read(dir: string, file: string): string {
  try {
    return readFileSync(join(dir, file), "latin1").trim();
  } catch {
    return "";
  }
}
