import type { Clock } from "../../clock.ts";

/**
 * Turns wall clock times of files and rows into monotonic ones of this process, for one run. A clock that was
 * set meanwhile makes nothing older than it is: times lie within the run's life, those of the future count as
 * now, and where the clock moved since the run started the shorter of both readings holds.
 */
export interface WallTimes {
  /** When the run started; monotonic. */
  readonly startedAt: number;
  /** Of something that was there before this process looked for the first time. */
  ofFirst(at: number): number;
  /** Whether it is from before the run, by every reading. */
  isBefore(at: number): boolean;
  /** Of something that changed after the look at `lookedAt` (monotonic). */
  since(lookedAt: number, at: number): number;
  /** The wall clock's word for a monotonic time, as the clock stands now. */
  toWall(monotonic: number): number;
}

/** Clocks and files blur by so much. */
const BLUR_MS = 2_000;

/**
 * `runningMs`: how long the run has been going on; `startedAt`: when it started by the wall clock of that
 * time, epoch ms.
 */
export function wallTimesOf(
  clock: Clock,
  run: { readonly runningMs: number; readonly startedAt: number },
): WallTimes {
  const begun = clock.monotonic() - run.runningMs;
  // By how much the wall clock was moved since the run started.
  const moved = clock.now() - run.runningMs - run.startedAt;
  const agesOf = (at: number) => {
    const age = clock.now() - at;
    return [age, age - moved];
  };
  return {
    startedAt: begun,
    ofFirst(at) {
      const possible = agesOf(at).filter((age) => age >= 0);
      const age = possible.length === 0 ? 0 : Math.min(...possible);
      return Math.max(begun, clock.monotonic() - age);
    },
    isBefore: (at) => agesOf(at).every((age) => clock.monotonic() - age < begun - BLUR_MS),
    since(lookedAt, at) {
      const age = Math.max(0, clock.now() - at);
      return Math.max(lookedAt, clock.monotonic() - age);
    },
    toWall: (monotonic) => clock.now() - (clock.monotonic() - monotonic),
  };
}
