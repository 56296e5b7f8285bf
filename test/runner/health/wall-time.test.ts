import { expect, it } from "vitest";
import { wallTimesOf } from "../../../src/runner/health/wall-time.ts";
import { createFakeClock } from "../../fakes/clock.ts";

const HOUR = 3_600_000;

/** A run that started two hours ago, and a process that looks at it now for the first time. */
function adopted(jumped = 0) {
  const clock = createFakeClock();
  const startedAt = clock.now() - 2 * HOUR;
  clock.jump(jumped);
  return { clock, moments: wallTimesOf(clock, { runningMs: 2 * HOUR, startedAt }) };
}

it("reads what files say against now", () => {
  const { clock, moments } = adopted();
  expect(clock.monotonic() - moments.ofFirst(clock.now() - HOUR)).toBe(HOUR);
  expect(clock.monotonic() - moments.startedAt).toBe(2 * HOUR);
});

it("counts the future as now, and what is older than the run as its start", () => {
  const { clock, moments } = adopted();
  expect(clock.monotonic() - moments.ofFirst(clock.now() + HOUR)).toBe(0);
  expect(clock.monotonic() - moments.ofFirst(0)).toBe(2 * HOUR);
  expect(moments.isBefore(clock.now() - 3 * HOUR)).toBe(true);
  expect(moments.isBefore(clock.now() - HOUR)).toBe(false);
  expect(moments.isBefore(clock.now() + HOUR)).toBe(false);
});

it.each([24 * HOUR, -24 * HOUR, HOUR, -HOUR])(
  "makes nothing old that was written just before the clock was set by %i ms",
  (jump) => {
    const { clock, moments } = adopted(jump);
    const written = clock.now() - jump - 60_000;
    expect(clock.monotonic() - moments.ofFirst(written)).toBeLessThanOrEqual(60_000);
    expect(moments.isBefore(written)).toBe(false);
  },
);

it("bounds what changed between two looks by them, whatever the clock did", async () => {
  const { clock, moments } = adopted();
  const looked = clock.monotonic();
  await clock.advance(30_000);
  expect(clock.monotonic() - moments.since(looked, clock.now() - 10_000)).toBe(10_000);
  clock.jump(5 * HOUR);
  expect(moments.since(looked, clock.now() - 5 * HOUR)).toBe(looked);
  clock.jump(-10 * HOUR);
  expect(moments.since(looked, clock.now() + 5 * HOUR)).toBe(clock.monotonic());
});
