import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { bootId, readStat } from "../../../src/backends/os/proc.ts";
import { runningMs } from "../../../src/backends/os/running-time.ts";
import { until } from "../../fakes/until.ts";

it("tells how long a process has been running, by no wall clock", async () => {
  const child = spawn("sleep", ["30"]);
  const begun = performance.now();
  const pid = child.pid ?? 0;
  const startTicks = readStat(pid)?.startTicks ?? 0;
  const identity = { pid, startTicks, bootId: bootId() };
  await until("it has run for a while", () => (runningMs(identity) ?? 0) > 250);
  const said = runningMs(identity) ?? Number.NaN;
  // Two ticks and the start of our own process blur it.
  expect(Math.abs(said - (performance.now() - begun))).toBeLessThan(250);
  // It need not live any more.
  child.kill();
  await once(child, "exit");
  expect(runningMs(identity)).toBeGreaterThanOrEqual(said);
  expect(runningMs({ ...identity, bootId: "another" })).toBeNull();
  expect(runningMs({ ...identity, pid: 0 })).toBeNull();
  expect(runningMs({ ...identity, startTicks: startTicks + 1e9 })).toBe(0);
});
