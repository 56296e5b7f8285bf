interface Waiting {
  run(): void;
  settle(commitError: unknown): void;
}

const SHARE_OF_WAITING = 0.25;

/**
 * Everything asked for in the same turn of the event loop (under load: in a few of them) shares one commit,
 * and its fsync. One failing `fn` does not undo the others.
 */
export class GroupCommit {
  readonly #transaction: <T>(fn: () => T) => T;
  #waiting: Waiting[] = [];
  /**
   * How the last shared commit went: how many had part in it, how long it took, when it was over (monotonic
   * ms).
   */
  #last = { size: 0, tookMs: 0, endedAt: Number.NEGATIVE_INFINITY };

  /** `transaction`: a savepoint inside another one. */
  constructor(transaction: <T>(fn: () => T) => T) {
    this.#transaction = transaction;
  }

  commit<T>(fn: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let outcome: { value: T } | { error: unknown } | undefined;
      this.#waiting.push({
        run: () => {
          try {
            outcome = { value: this.#transaction(fn) };
          } catch (error) {
            outcome = { error };
          }
        },
        settle: (commitError) => {
          if (commitError !== undefined || outcome === undefined) reject(commitError);
          else if ("error" in outcome) reject(outcome.error);
          else resolve(outcome.value);
        },
      });
      if (this.#waiting.length === 1) setImmediate(() => this.#commitSoon());
    });
  }

  /**
   * Under load whoever was just answered comes again at once: a quarter of what the last commit took is spent
   * on waiting for them, so that all share the next one. After a pause nobody waits.
   */
  #commitSoon(): void {
    const { size, tookMs, endedAt } = this.#last;
    const now = performance.now();
    const wanted = this.#waiting.length + size;
    const until = now - endedAt < tookMs ? now + tookMs * SHARE_OF_WAITING : now;
    const again = () => {
      if (this.#waiting.length < wanted && performance.now() < until) setImmediate(again);
      else this.#commitWaiting();
    };
    again();
  }

  #commitWaiting(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    const beganAt = performance.now();
    let commitError: unknown;
    try {
      this.#transaction(() => {
        for (const one of batch) one.run();
      });
    } catch (error) {
      commitError = error ?? new Error("commit failed");
    }
    const endedAt = performance.now();
    this.#last = { size: batch.length, tookMs: endedAt - beganAt, endedAt };
    for (const one of batch) one.settle(commitError);
  }
}
