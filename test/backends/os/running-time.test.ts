import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { bootId, readStat } from "../../../src/backends/os/proc.ts";
import { runningMs } from "../../../src/backends/os/running-time.ts";
import { until } from "../../fakes/until.ts";

const TICK_MS = 10;

it("tells how long a process has been running, by no wall clock", async () => {
  const before = performance.now();
  const child = spawn("sleep", ["600"]);
  const spawned = performance.now();
  const pid = child.pid ?? 0;
  const startTicks = readStat(pid)?.startTicks ?? 0;
  const identity = { pid, startTicks, bootId: bootId() };
  await until("it has run for a while", () => (runningMs(identity) ?? 0) > 250);
  const asked = performance.now();
  const said = runningMs(identity) ?? Number.NaN;
  // The kernel counts in ticks, and from before our own clock began.
  const blur = 2 * TICK_MS + startOfClock();
  expect(said).toBeGreaterThanOrEqual(asked - spawned - blur);
  expect(said).toBeLessThanOrEqual(performance.now() - before + 2 * TICK_MS);
  // It need not live any more.
  child.kill();
  await once(child, "exit");
  expect(runningMs(identity)).toBeGreaterThanOrEqual(said);
  expect(runningMs({ ...identity, bootId: "another" })).toBeNull();
  expect(runningMs({ ...identity, pid: 0 })).toBeNull();
  expect(runningMs({ ...identity, startTicks: startTicks + 1e9 })).toBe(0);
});

/** How long after our own process its clock began. */
function startOfClock(): number {
  const [up = ""] = readFileSync("/proc/uptime", "latin1").split(" ");
  return Number(up) * 1_000 - (readStat(process.pid)?.startTicks ?? 0) * TICK_MS - process.uptime() * 1_000;
}
