import { expect, it } from "vitest";
import { sleep } from "../src/clock.ts";
import { createReadiness } from "../src/readiness.ts";
import { createFakeClock } from "./fakes/clock.ts";

it("is ready from the first answer, and no more once the forge is silent for 30 s", async () => {
  let silence: { ms: number; why: string } | null = null;
  const readiness = createReadiness({
    config: { forge: { url: "http://forge" } } as never,
    forge: { me: async () => ({ id: 7, login: "bot" }), clock: async () => 1 } as never,
    reach: { silence: () => silence },
    clock: createFakeClock(),
    log: { info: () => {}, warn: () => {} } as never,
    begin: () => {},
  });
  expect(readiness.notReady()).toEqual(["the forge has not answered yet"]);
  await new Promise(setImmediate);
  expect([readiness.botId(), readiness.notReady()]).toEqual([7, []]);
  silence = { ms: 29_999, why: "connection refused" };
  expect(readiness.notReady()).toEqual([]);
  silence = { ms: 42_500, why: "connection refused" };
  expect(readiness.notReady()).toEqual(["the forge has not answered for 42s: connection refused"]);
  silence = null;
  expect(readiness.notReady()).toEqual([]);
  readiness.stop();
});

it.each([
  ["late the forge tells the time", { at: 100_700, clockMs: 3_000, meMs: 0, ahead: 0 }, 0],
  ["late it says who we are", { at: 100_700, clockMs: 3_000, meMs: 90_000, ahead: 0 }, 0],
  ["long the answer was on its way", { at: 100_050, clockMs: 4_100, meMs: 0, ahead: 0 }, 0],
  ["wrong its clock is", { at: 100_700, clockMs: 3_000, meMs: 0, ahead: 3_600_000 }, 3_600_000],
])("begins with what happened since the second of the start, however %s", async (_what, how, from) => {
  const clock = createFakeClock(how.at);
  const begun: number[][] = [];
  // A forge tells the time in whole seconds.
  const now = 103_000 + how.ahead;
  const readiness = createReadiness({
    config: { forge: { url: "http://forge" } } as never,
    forge: {
      me: () => sleep(clock, how.meMs).then(() => ({ id: 7, login: "bot" })),
      clock: () => sleep(clock, how.clockMs).then(() => now),
    } as never,
    reach: { silence: () => null },
    clock,
    log: { info: () => {}, warn: () => {} } as never,
    begin: (...times) => void begun.push(times),
  });
  await clock.advance(100_000);
  expect(begun).toEqual([[now, 100_000 + from]]);
  readiness.stop();
});
