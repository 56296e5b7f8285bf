/** Runs `work` when its turn comes; null, without having run it, where `signal` ended the waiting. */
export type Semaphore = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T | null>;

/**
 * Lets no more than `most` go on at one time, in the order in which they came: a thousand cells are not
 * looked at all at once.
 */
export function createSemaphore(most: number): Semaphore {
  const waiting: (() => void)[] = [];
  let busy = 0;

  /** True when it may go on, which counts as busy from then on; false where it was called off. */
  const turn = (signal: AbortSignal): Promise<boolean> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve(false);
      const go = () => {
        signal.removeEventListener("abort", leave);
        busy++;
        resolve(true);
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(go), 1);
        resolve(false);
      };
      if (busy < most) return go();
      waiting.push(go);
      signal.addEventListener("abort", leave, { once: true });
    });

  return async (work, signal) => {
    if (!(await turn(signal))) return null;
    try {
      return signal.aborted ? null : await work();
    } finally {
      busy--;
      waiting.shift()?.();
    }
  };
}
