/** What bodies of requests may hold in memory at one time. */
export interface BodyBudget {
  /** For one body: it must be closed when the body is needed no more. */
  open(): Allowance;
}

export interface Allowance {
  /** Whether so many bytes more may be held. */
  take(bytes: number): boolean;
  close(): void;
}

/** Larger than most deliveries. */
const EACH_BYTES = 64 * 1024;
const SHARED_BYTES = 32 * 1024 ** 2;

/**
 * Every body may hold 64 KB, and all of them together 32 MB beyond that: whoever sends large ones takes no
 * room from small ones. How many bodies there are is bounded by the server's connections.
 */
export function createBodyBudget(limits = { each: EACH_BYTES, shared: SHARED_BYTES }): BodyBudget {
  let shared = limits.shared;
  return {
    open() {
      let [own, taken, isOpen] = [limits.each, 0, true];
      return {
        take(bytes) {
          const beyond = Math.max(0, bytes - own);
          if (!isOpen || beyond > shared) return false;
          own -= bytes - beyond;
          taken += beyond;
          shared -= beyond;
          return true;
        },
        close() {
          isOpen = false;
          shared += taken;
          taken = 0;
        },
      };
    },
  };
}
