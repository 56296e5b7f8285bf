import { bootId, type Identity, readStat } from "./proc.ts";

/**
 * Linux tells user space a hundred ticks a second, whatever the kernel's own. @see proc_pid_stat(5),
 * sysconf(_SC_CLK_TCK)
 */
const TICK_MS = 10;

/**
 * How many milliseconds ago a process started, whatever was done to the wall clock since; null where it
 * belongs to another boot, or to nobody. Measured against our own process, so that no clock of the machine
 * needs to be trusted.
 */
export function runningMs(identity: Identity): number | null {
  if (identity.pid <= 0 || identity.bootId !== bootId()) return null;
  const own = readStat(process.pid);
  if (own === null) return null;
  return Math.max(0, process.uptime() * 1_000 + (own.startTicks - identity.startTicks) * TICK_MS);
}
