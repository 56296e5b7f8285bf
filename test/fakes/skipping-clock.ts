import { type Clock, systemClock } from "../../src/clock.ts";

/** The real clock, which a test can send ahead. */
export interface SkippingClock extends Clock {
  /** Moves on by `ms` at once: what falls due meanwhile is called now. */
  skip(ms: number): void;
}

/** Runs as the real one does until it is told to skip. */
export function createSkippingClock(): SkippingClock {
  let ahead = 0;
  const timers = new Set<{ readonly at: number; readonly arm: () => void }>();
  const monotonic = () => performance.now() + ahead;
  return {
    now: () => Date.now() + ahead,
    monotonic,
    machine: () => {
      const { bootId, upMs } = systemClock.machine();
      return { bootId, upMs: upMs + ahead };
    },
    after(ms, fn) {
      let cancel = () => {};
      const timer = {
        at: monotonic() + ms,
        arm() {
          cancel();
          cancel = systemClock.after(Math.max(0, timer.at - monotonic()), () => {
            timers.delete(timer);
            fn();
          });
        },
      };
      timers.add(timer);
      timer.arm();
      return () => {
        timers.delete(timer);
        cancel();
      };
    },
    skip(ms) {
      ahead += ms;
      for (const timer of timers) timer.arm();
    },
  };
}
