/** Two arrivals within this time are a burst, and it lasts this long after its last one. */
const BURST_MS = 5;
/** How long work lets a burst go first at most. */
const LONGEST_PATIENCE_MS = 100;

/**
 * Whoever waits for an answer goes before work that could wait: while much arrives, looks for work are put
 * off for a moment (and what is alike is folded meanwhile). Real time and not the clock's, since it is about
 * turns of this event loop.
 */
export class Burst {
  #arrivedAt = Number.NEGATIVE_INFINITY;
  #until = 0;

  /** Something arrived from outside. */
  note(): void {
    const now = performance.now();
    if (now - this.#arrivedAt < BURST_MS) this.#until = now + BURST_MS;
    this.#arrivedAt = now;
  }

  /**
   * Calls `fn` in a turn of its own: in the next one, or once the burst is over (after 100 ms at the latest).
   */
  after(fn: () => void): void {
    const patientUntil = performance.now() + LONGEST_PATIENCE_MS;
    const tryNow = () => {
      const leftMs = Math.min(this.#until, patientUntil) - performance.now();
      if (leftMs > 0) setTimeout(tryNow, leftMs);
      else fn();
    };
    setImmediate(tryNow);
  }
}
