import type { Clock } from "../clock.ts";
import type { Queue } from "../queue/queue.ts";
import type { Deadlines, Tick } from "./registry/deadlines.ts";

/** Below this a clock is being corrected, not set. */
const SMALLEST_JUMP_MS = 5_000;
/** How old the stored tick may be: each costs a write. */
const STORED_EVERY_MS = 10_000;

/** A clock that tells somebody of a jump before it tells the new time. */
export interface WatchedClock extends Clock {
  /** Calls `look` before it tells a time, wherever the wall clock may have been set since the last call. */
  watch(look: () => void): void;
  unwatch(): void;
}

/**
 * Lets deadlines move before anybody reads the time that the wall clock was set to. Else what is put off from
 * the new time on is moved as well, and waits for as long as the clock was set forward.
 */
export function watchedClock(clock: Clock): WatchedClock {
  let look: (() => void) | null = null;
  let drift = 0;
  const drifted = () => clock.now() - clock.monotonic();
  return {
    ...clock,
    now() {
      if (look !== null && Math.abs(drifted() - drift) >= SMALLEST_JUMP_MS) {
        drift = drifted();
        look();
      }
      return clock.now();
    },
    watch(then) {
      drift = drifted();
      look = then;
    },
    unwatch() {
      look = null;
    },
  };
}

/**
 * Notices that the wall clock was set: ticks store boot id, time since boot and wall clock, and where the
 * wall clock moved otherwise than the machine lived, every deadline moves with it. Across a reboot nobody can
 * tell, so nothing moves there, unless it is earlier now than before. Answers the jump in ms, 0 where there
 * was none; to be called before anything that looks at deadlines, as often as that is done.
 */
export function tick(deps: { deadlines: Deadlines; queue: Pick<Queue, "shift">; clock: Clock }): number {
  const { deadlines, queue, clock } = deps;
  const seen = { ...clock.machine(), at: clock.now() };
  const before = deadlines.lastTick();
  const jumpMs = before === null ? 0 : jumpBetween(before, seen);
  const isFresh = before !== null && isSameLife(before, seen) && seen.upMs - before.upMs < STORED_EVERY_MS;
  if (isFresh && jumpMs === 0) return 0;
  return deadlines.transaction(() => {
    deadlines.rememberTick(seen);
    if (jumpMs === 0) return 0;
    deadlines.shift(jumpMs);
    queue.shift(jumpMs);
    return jumpMs;
  });
}

function jumpBetween(before: Tick, seen: Tick): number {
  const wallMs = seen.at - before.at;
  // A machine without a clock of its own wakes up in the past, and is told the time later on: that is no
  // reason to wait for it twice.
  const jumpMs = isSameLife(before, seen) ? wallMs - (seen.upMs - before.upMs) : Math.min(0, wallMs);
  return Math.abs(jumpMs) < SMALLEST_JUMP_MS ? 0 : Math.round(jumpMs);
}

function isSameLife(before: Tick, seen: Tick): boolean {
  return before.bootId === seen.bootId && seen.upMs >= before.upMs;
}
