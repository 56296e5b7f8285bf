import { beforeEach, describe, expect, it } from "vitest";
import { createReach, type Reach } from "../../src/gitea/reach.ts";
import { createFakeClock, type FakeClock } from "../fakes/clock.ts";

let clock: FakeClock;
let reach: Reach;
let answers: boolean;
let asked: number;
let backs: number;
let warned: string[];

beforeEach(() => {
  clock = createFakeClock();
  answers = true;
  asked = backs = 0;
  warned = [];
  reach = createReach({
    clock,
    log: { warn: (_facts: object, message: string) => void warned.push(message) } as never,
    async ask() {
      asked++;
      if (!answers) {
        const error = new Error("refused");
        reach.heard(error);
        throw error;
      }
      reach.heard(null);
    },
    onBack: () => void backs++,
  });
});

describe("the forge's reach", () => {
  it("is away until the first answer, and tells of it once", () => {
    expect(reach.silence()?.why).toBe("it has not answered yet");
    reach.heard(null);
    reach.heard(null);
    expect([reach.silence(), backs]).toEqual([null, 1]);
  });

  it("asks where nothing is heard, and not where calls are answered anyway", async () => {
    reach.heard(null);
    await clock.advance(9_000);
    reach.heard(null);
    await clock.advance(9_000);
    expect(asked).toBe(0);
    await clock.advance(10_000);
    expect(asked).toBe(1);
  });

  it("takes one failed call for no outage where the next question is answered", async () => {
    reach.heard(null);
    reach.heard(new Error("status 502"));
    expect(await reach.isAway()).toBe(false);
    expect([reach.silence(), backs, warned]).toEqual([null, 1, []]);
  });

  it("is away when the question fails as well, counts from the last answer, and is back at once", async () => {
    reach.heard(null);
    await clock.advance(5_000);
    answers = false;
    reach.heard(new Error("reset"));
    expect(await reach.isAway()).toBe(true);
    await clock.advance(35_000);
    expect(reach.silence()).toEqual({ ms: 40_000, why: "refused" });
    expect(warned).toHaveLength(1);
    answers = true;
    await clock.advance(10_000);
    expect([reach.silence(), backs]).toEqual([null, 2]);
  });

  it("asks once for all who want to know at the same time", async () => {
    reach.heard(null);
    answers = false;
    expect(await Promise.all([reach.isAway(), reach.isAway(), reach.isAway()])).toEqual([true, true, true]);
    expect(asked).toBe(1);
  });

  it("asks nothing any more once it is stopped", async () => {
    reach.stop();
    await clock.advance(60_000);
    expect(asked).toBeLessThanOrEqual(1);
    reach.heard(null);
    expect(backs).toBe(0);
  });
});
