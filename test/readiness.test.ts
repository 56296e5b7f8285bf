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
  ["late the forge tells the time", { clockMs: 3_000, meMs: 0 }],
  ["late it says who we are", { clockMs: 3_000, meMs: 90_000 }],
])(
  "begins with what happened since the second of the start, however %s",
  async (_what, { clockMs, meMs }) => {
    const clock = createFakeClock();
    const begun: number[][] = [];
    const readiness = createReadiness({
      config: { forge: { url: "http://forge" } } as never,
      forge: {
        me: () => sleep(clock, meMs).then(() => ({ id: 7, login: "bot" })),
        clock: () => sleep(clock, clockMs).then(() => 100_900),
      } as never,
      reach: { silence: () => null },
      clock,
      log: { info: () => {}, warn: () => {} } as never,
      begin: (...times) => void begun.push(times),
    });
    await clock.advance(100_000);
    expect(begun).toEqual([[100_900, 97_000]]);
    readiness.stop();
  },
);
