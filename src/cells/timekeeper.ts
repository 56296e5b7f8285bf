import type { Clock } from "../clock.ts";
import type { Queue } from "../queue/queue.ts";
import type { Deadlines } from "./deadlines.ts";

/** Below this a clock is being corrected, not set. */
const SMALLEST_JUMP_MS = 5_000;

/**
 * Notices that the wall clock was set: each tick stores boot id, time since boot and wall clock, and where the wall clock moved otherwise than the machine lived, every deadline moves with it.
 * Across a reboot nobody can tell, so nothing moves there. Answers the jump in ms, 0 where there was none; to be called before anything that looks at deadlines.
 */
export function tick(deps: { deadlines: Deadlines; queue: Pick<Queue, "shift">; clock: Clock }): number {
  const { deadlines, queue, clock } = deps;
  return deadlines.transaction(() => {
    const seen = { ...clock.machine(), at: clock.now() };
    const before = deadlines.lastTick();
    deadlines.rememberTick(seen);
    if (before === null || before.bootId !== seen.bootId || seen.upMs < before.upMs) return 0;
    const jumpMs = Math.round(seen.at - before.at - (seen.upMs - before.upMs));
    if (Math.abs(jumpMs) < SMALLEST_JUMP_MS) return 0;
    deadlines.shift(jumpMs);
    queue.shift(jumpMs);
    return jumpMs;
  });
}
