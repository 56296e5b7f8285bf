/**
 * How retries are spaced: `baseMs`, doubled per attempt up to `capMs`, then moved by up to `jitter` (0.2 = 20
 * %) either way.
 */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
  readonly jitter: number;
}

export const BACKOFF: Backoff = { baseMs: 1_000, capMs: 5 * 60_000, jitter: 0.2 };

/** Milliseconds to wait after attempt number `attempt` (1 is the first) failed; `random` answers 0 to 1. */
export function backoffMs(
  attempt: number,
  random: () => number = Math.random,
  backoff: Backoff = BACKOFF,
): number {
  const plain = Math.min(backoff.capMs, backoff.baseMs * 2 ** (Math.max(1, attempt) - 1));
  return Math.round(plain * (1 + backoff.jitter * (2 * random() - 1)));
}
