import { describe, expect, it } from "vitest";
import { startStandInServer } from "../e2e/servers.ts";
import { describe as tell } from "./storm/report.ts";
import { storm } from "./storm/storm.ts";

const SECONDS = 24;
const REST_MS = 60_000;
const TEST_MS = 600_000;

/** What a short storm must hit; a long one (`npm run chaos`) must hit every step and every crash window. */
const REQUIRED = [
  "delivery stored, 202 not sent",
  "stored by the forge, answer not heard",
  "spawned, not written down",
  "half a directory, being made",
];

describe("a short storm", () => {
  it("loses nothing and doubles nothing", { timeout: TEST_MS }, async () => {
    const lines: string[] = [];
    const report = await storm({
      ...{
        server: startStandInServer,
        seed: "short",
        seconds: SECONDS,
        kills: null,
        runners: 0,
        restMs: REST_MS,
      },
      ...{ gapMs: [600, 1_400], tidied: 2 },
      ...{ deliveries: "lost", required: REQUIRED, keep: null },
      say: (line) => lines.push(line),
    });
    const { lost, doubled, left, missing } = report;
    const told = `${lines.join("\n")}\n${tell(report, "npx vitest run test/chaos/storm.test.ts")}`;
    expect({ lost, doubled, left, missing }, told).toEqual({ lost: [], doubled: [], left: [], missing: [] });
    expect(report.kills).toBeGreaterThanOrEqual(REQUIRED.length);
    expect(report.commands).toBeGreaterThan(0);
  });
});
