import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "./clock.ts";

/**
 * How long something may hold the event loop (10 ms unless told), and by which clock; `signal` ends it
 * between two slices.
 */
export interface Slices {
  readonly clock: Pick<Clock, "monotonic">;
  readonly sliceMs?: number;
  readonly signal?: AbortSignal;
}

const SLICE_MS = 10;

/**
 * Hands on all that a generator gives, letting others have the event loop after each slice; throws the
 * signal's reason.
 */
export async function inSlices<T>(
  all: Iterable<T>,
  { sliceMs = SLICE_MS, clock, signal }: Slices,
  hand: (one: T) => void,
): Promise<void> {
  let began = clock.monotonic();
  for (const one of all) {
    hand(one);
    if (clock.monotonic() - began < sliceMs) continue;
    await turn();
    signal?.throwIfAborted();
    began = clock.monotonic();
  }
}
