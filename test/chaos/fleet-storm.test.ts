import { describe, expect, it } from "vitest";
import { startStandInServer } from "../e2e/servers.ts";
import { needs } from "../machine.ts";
import { describe as tell } from "./storm/report.ts";
import { storm } from "./storm/storm.ts";

const SECONDS = 20;
const REST_MS = 60_000;
const TEST_MS = 600_000;

/** What a short storm with runners must hit; a long one (`npm run chaos -- --runners 3`) must hit all. */
const REQUIRED = [
  "job heard by its runner, not begun",
  "job done, its runner has not said so",
  "Redis emptied",
  "Redis killed, and begun empty",
  "Redis restored from an old dump",
  "a runner stood still",
  "a runner cut off from Redis",
  "a runner cut off from the git gate",
];

describe("a short storm over three runners", needs("redis-server"), () => {
  it("loses nothing and doubles nothing", { timeout: TEST_MS }, async () => {
    const lines: string[] = [];
    const report = await storm({
      ...{ server: startStandInServer, seed: "fleet", seconds: SECONDS, kills: null, restMs: REST_MS },
      ...{ runners: 3, gapMs: [600, 1_400], tidied: 2 },
      ...{ deliveries: "lost", required: REQUIRED, keep: null },
      say: (line) => lines.push(line),
    });
    const { lost, doubled, left, missing, fleet } = report;
    const told = `${lines.join("\n")}\n${tell(report, "npx vitest run test/chaos/fleet-storm.test.ts")}`;
    expect({ lost, doubled, left, missing }, told).toEqual({ lost: [], doubled: [], left: [], missing: [] });
    expect(report.commands).toBeGreaterThan(0);
    const worked = ["r1", "r2", "r3"].filter((name) => (fleet?.cells.get(name) ?? 0) > 0);
    expect(worked.length, told).toBeGreaterThan(1);
  });
});
