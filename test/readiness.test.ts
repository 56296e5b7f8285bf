import { expect, it } from "vitest";
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

it("begins with what happened since the start, however late the forge tells the time", async () => {
  const clock = createFakeClock();
  const begun: number[][] = [];
  let tell = (_now: number) => {};
  const told = new Promise<number>((resolve) => {
    tell = resolve;
  });
  createReadiness({
    config: { forge: { url: "http://forge" } } as never,
    forge: { me: async () => ({ id: 7, login: "bot" }), clock: () => told } as never,
    reach: { silence: () => null },
    clock,
    log: { info: () => {}, warn: () => {} } as never,
    begin: (...times) => void begun.push(times),
  });
  await clock.advance(3_000);
  tell(100_000);
  await new Promise(setImmediate);
  expect(begun).toEqual([[100_000, 97_000]]);
});
