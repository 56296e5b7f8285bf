import type { Clock } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";

/**
 * Whether the forge answers, as seen from the calls that are made anyway, and from a question where none are.
 */
export interface Reach {
  /** To be told of each call: it was answered, with whatever status, or the forge could not be reached. */
  heard(error: unknown | null): void;
  /** Asks the forge now whether it is away. A question that is under way serves all. */
  isAway(): Promise<boolean>;
  /** How long it has not answered (ms) and why; null while it answers. */
  silence(): { readonly ms: number; readonly why: string } | null;
  stop(): void;
}

export interface ReachDeps {
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /**
   * One quick call without retries; it tells `heard` like any other, and rejects where there is no answer.
   */
  ask(): Promise<void>;
  /** Called when the forge answers, at first and after each outage. */
  onBack(): void;
}

/** Where nothing was heard for so long, the forge is asked. */
const ASK_MS = 10_000;

/**
 * Follows one forge from now on. It counts as away until its first answer, and then when a quick call finds
 * none.
 */
export function createReach(deps: ReachDeps): Reach {
  const { clock, log } = deps;
  let heardAt = clock.monotonic();
  let away: string | null = "it has not answered yet";
  let asking: Promise<boolean> | null = null;
  let cancel = () => {};
  let isStopped = false;

  /** One call that fails says little: an outage is what a second, quick one confirms. */
  const ask = () => {
    asking ??= Promise.resolve()
      .then(() => deps.ask())
      .then(
        () => false,
        (error: unknown) => {
          if (away === null)
            log.warn({ why: explain(error) }, "the forge cannot be reached; what needs it waits");
          away = explain(error);
          return true;
        },
      )
      .finally(() => {
        asking = null;
      });
    return asking;
  };

  const askAgain = () => {
    cancel = clock.after(ASK_MS, async () => {
      if (away !== null || clock.monotonic() - heardAt >= ASK_MS) await ask();
      if (!isStopped) askAgain();
    });
  };
  askAgain();

  return {
    heard(error) {
      if (isStopped) return;
      if (error !== null) {
        if (away === null) void ask();
        return;
      }
      heardAt = clock.monotonic();
      if (away === null) return;
      away = null;
      deps.onBack();
    },
    isAway: ask,
    silence: () => (away === null ? null : { ms: clock.monotonic() - heardAt, why: away }),
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
