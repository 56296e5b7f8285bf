import { readFileSync } from "node:fs";

/** Time as the program sees it; tests put a clock of their own in its place. */
export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): number;
  /** Milliseconds that only ever grow, for measuring spans inside one process. */
  monotonic(): number;
  /**
   * Which boot of the machine this is, and for how many ms it has lived, asleep or not: what a wall clock
   * that was set is told from.
   */
  machine(): { readonly bootId: string; readonly upMs: number };
  /** Calls `fn` once after `ms`; the answer cancels it. Never keeps the process alive. */
  after(ms: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  machine: () => ({
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    upMs: Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000),
  }),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** RFC 3339 in UTC with milliseconds, the form of every time we write for others. */
export function toIso(at: number): string {
  return new Date(at).toISOString();
}

/** `2026-11-28 14:03 UTC`: for people, where an age would make the text another one each minute. */
export function toClockTime(at: number): string {
  return `${toIso(at).slice(0, 16).replace("T", " ")} UTC`;
}

/** Waits `ms`; rejects with the signal's reason when aborted first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    signal?.addEventListener("abort", stop, { once: true });
  });
}
