import { type Clock, systemClock } from "../../src/clock.ts";

/** A clock that runs so many times as fast as the real one: minutes of backoff pass in seconds. */
export function createHurriedClock(times: number): Clock {
  const begunAt = Date.now();
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) * times;
  return {
    now: () => Math.round(begunAt + elapsed()),
    monotonic: elapsed,
    after: (ms, fn) => systemClock.after(ms / times, fn),
  };
}
