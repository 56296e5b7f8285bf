import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../src/clock.ts";

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /**
   * Moves on by `ms`, calling what falls due in order, and lets promises settle after each and at the end.
   */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock by `ms`, back or forth, as an operator would: no timer is called. */
  jump(ms: number): void;
  /** How many timers are set. */
  pending(): number;
  /** The machine is started anew: nothing can be known of the time between. */
  reboot(): void;
}

interface Timer {
  readonly at: number;
  readonly fn: () => void;
}

/** Starts at a fixed time, so that what tests write is the same every day. */
export function createFakeClock(startAt = Date.UTC(2026, 0, 5, 9)): FakeClock {
  let elapsed = 0;
  let wall = startAt;
  let boots = 1;
  let bootedAt = 0;
  const timers = new Set<Timer>();

  function nextUntil(end: number): Timer | undefined {
    const due = [...timers].filter((timer) => timer.at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
  function moveTo(at: number): void {
    wall += Math.max(0, at - elapsed);
    elapsed = Math.max(elapsed, at);
  }
  return {
    now: () => wall,
    monotonic: () => elapsed,
    machine: () => ({ bootId: `boot-${boots}`, upMs: elapsed - bootedAt }),
    reboot() {
      boots++;
      bootedAt = elapsed;
    },
    after(ms, fn) {
      const timer = { at: elapsed + Math.max(0, ms), fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      await settle();
      const end = elapsed + ms;
      for (let timer = nextUntil(end); timer !== undefined; timer = nextUntil(end)) {
        timers.delete(timer);
        moveTo(timer.at);
        timer.fn();
        await settle();
      }
      moveTo(end);
      await settle();
    },
    jump(ms) {
      wall += ms;
    },
    pending: () => timers.size,
  };
}

/**
 * A few turns of the event loop: enough for promises and `setImmediate`s that follow from one another, not
 * for I/O.
 */
export async function settle(turns = 8): Promise<void> {
  for (let left = turns; left > 0; left--) await turn();
}
