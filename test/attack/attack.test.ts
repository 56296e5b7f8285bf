import { describe, expect, it } from "vitest";
import { needs } from "../machine.ts";
import type { Want } from "../machine-probe.ts";
import { CASES, type Degree } from "./cases.ts";
import { armsHere, assault, control, type Outcome, verdictOf } from "./field.ts";
import { GUEST_CASES, PEOPLE_CASES } from "./guests.ts";
import { SERVED_CASES } from "./served-cases.ts";
import { isDefeat, summaryOf, tableOf } from "./table.ts";

const { arms } = await armsHere();
const works = await control(CASES);
/** All at once: each has a ground of its own. */
const fought = new Map(
  await Promise.all(arms.map(async (arm) => [arm.degree, await assault(arm, CASES, works)] as const)),
);
/** What each degree asks of the machine; containers are attacked by `npm run attack`. */
const NEEDED = {
  process: [],
  "process, own user": ["root"],
  sandbox: ["sandbox"],
  "sandbox, own user": ["sandbox", "root"],
} as const satisfies Record<Exclude<Degree, `container${string}`>, readonly Want[]>;

describe("the attacks", () => {
  it("are at least sixty, each under a number of its own", () => {
    const ids = [...CASES, ...SERVED_CASES, ...GUEST_CASES, ...PEOPLE_CASES].map((one) => one.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThanOrEqual(60);
  });

  it("work where nothing isolates: nearly all of them, so that they can fail", () => {
    const harmless = CASES.filter((one) => one.isDangerous !== true);
    const idle = harmless.filter((one) => !works.has(one.id)).map((one) => one.id);
    // An ordinary user may not make devices, nor look into every process that is its own.
    const most = process.getuid?.() === 0 ? 1 : 12;
    expect(idle.length, `idle: ${idle.join(" ")}`).toBeLessThanOrEqual(most);
  });

  for (const degree of ["process", "process, own user", "sandbox", "sandbox, own user"] as const) {
    it(`never succeed where ${degree} must stop them`, needs(...NEEDED[degree]), () => {
      const outcomes = fought.get(degree) ?? [];
      expect(outcomes.filter(isDefeat)).toEqual([]);
      expect(outcomes.filter((one) => one.verdict === "stopped").length).toBeGreaterThan(3);
    });
  }
});

describe("a verdict", () => {
  it("tells what was stopped from what nobody promised, and from what could not have worked", () => {
    expect(verdictOf({ isClaimed: true, isProven: true, got: null })).toBe("stopped");
    expect(verdictOf({ isClaimed: true, isProven: false, got: null })).toBe("unproven");
    expect(verdictOf({ isClaimed: true, isProven: false, got: "the token" })).toBe("SUCCEEDED");
    expect(verdictOf({ isClaimed: false, isProven: true, got: "the token" })).toBe("not claimed");
  });

  it("of one success fails the whole run, and stands in the table", () => {
    const made: Outcome = {
      id: "1.1",
      tries: "read it",
      on: "sandbox",
      got: "its content",
      verdict: "SUCCEEDED",
    };
    expect([made].some(isDefeat)).toBe(true);
    expect(tableOf([made])).toMatch(/^1\.1 +sandbox +read it +its content +SUCCEEDED$/m);
    expect(summaryOf([made])).toBe(
      "1 attacks, tried 1 times, 0 stopped, 0 not claimed by that degree, 1 SUCCEEDED",
    );
  });
});
