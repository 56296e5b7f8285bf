import { readdirSync, readFileSync } from "node:fs";
import { marksOf } from "../../src/backends/os/proc.ts";

/** Sends KILL; one that ended meanwhile is no error. */
export function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended meanwhile.
  }
}

/** Whether a process can still do anything. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Live processes that bear a cell's marker. */
export function livingOf(cellId: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => isAlive(pid) && marksOf(pid).includes(cellId));
}
