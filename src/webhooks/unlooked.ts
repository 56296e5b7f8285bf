import type { Clock } from "../clock.ts";
import type { Delivered } from "../protocol/delivered.ts";

/** An edit that changes no second of the forge comes within one; a look for another reason is near. */
const KEPT_MS = 60_000;
const MOST = 10_000;

interface ThreadAt {
  readonly repository: { readonly id: number; readonly fullName: string };
  readonly number: number;
}

/** What comments said when they were made that no look at their thread was asked for. */
export interface Unlooked {
  note(thread: ThreadAt, delivered: Delivered): void;
  of(thread: ThreadAt): Delivered;
}

/**
 * Kept for a minute and no longer: whoever edits a comment later changes its second, and that is seen without
 * this.
 */
export function createUnlooked(clock: Pick<Clock, "monotonic">): Unlooked {
  const kept = new Map<string, { at: number; delivered: Delivered }>();
  // By its name too: whoever may sign for one repository must not tell of another.
  const keyOf = ({ repository, number }: ThreadAt) =>
    `${repository.id}#${number} ${repository.fullName.toLowerCase()}`;
  const forgetOld = () => {
    for (const [key, { at }] of kept) {
      if (clock.monotonic() - at < KEPT_MS && kept.size <= MOST) return;
      kept.delete(key);
    }
  };
  return {
    note(thread, delivered) {
      const key = keyOf(thread);
      const before = kept.get(key)?.delivered ?? {};
      kept.delete(key);
      kept.set(key, { at: clock.monotonic(), delivered: { ...before, ...delivered } });
      forgetOld();
    },
    of(thread) {
      forgetOld();
      return kept.get(keyOf(thread))?.delivered ?? {};
    },
  };
}
