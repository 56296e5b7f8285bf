import type { Clock } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Forge, Moved, MovedThread } from "../gitea/port.ts";
import type { Log } from "../log.ts";
import { level } from "../meter.ts";
import type { Queue } from "../queue/queue.ts";
import type { Db } from "../store/db.ts";
import { createCatchupMarks, type Mark } from "./catchup-marks.ts";
import type { SeenEntries } from "./seen-entries.ts";
import { type Source, sourcesOf } from "./sources.ts";
import { threadTick } from "./thread.ts";

/** What moved so shortly before the mark is asked for again: the forge keeps seconds, and may commit late. */
export const OVERLAP_MS = 120_000;
/**
 * A thread is looked at once more when so much time has passed since it moved: more may have been stored in
 * the same second.
 */
export const SETTLED_MS = 10_000;
/** A boot's look that failed is tried again after this long, also where nothing is polled. */
const RETRY_MS = 60_000;

export interface CatchUpDeps {
  readonly forge: Pick<Forge, "moved">;
  readonly db: Db;
  readonly queue: Pick<Queue, "put">;
  readonly handled: SeenEntries;
  readonly clock: Clock;
  readonly log: Log;
  /** `forge.repositories` and `forge.poll` (0: only at boot). */
  readonly patterns: readonly string[];
  readonly pollMs: number;
  isServed(fullName: string): boolean;
}

/**
 * Finds what no delivery told of, by asking the forge what moved since it was last asked, by its own clock,
 * and makes the ticks that deliveries make: what is handled already is not handled again.
 */
export interface CatchUp {
  /** What was never asked about is asked for `from` on, the forge's time. Joins the caller's transaction. */
  begin(forgeNow: number, from: number): void;
  /** Looks now, and then again and again. */
  start(): void;
  /** One look at every source; never rejects. Answers whether all could be read. */
  look(): Promise<boolean>;
  /** What the forge's clock says now, as far as we know (epoch ms); null before it was asked. */
  forgeNow(): number | null;
  stop(): void;
}

export function createCatchUp(deps: CatchUpDeps): CatchUp {
  const sources = sourcesOf(deps.patterns);
  const marks = createCatchupMarks(deps.db);
  const troubles = new Map<string, string>();
  let skewMs: number | null = null;
  let stopped = false;
  let cancel = () => {};

  const hear = (forgeNow: number) => {
    skewMs = forgeNow - deps.clock.now();
    level("forge_clock_skew_seconds", skewMs / 1_000);
  };

  const look = async () => {
    let isWhole = true;
    for (const source of sources) {
      if (stopped) return false;
      try {
        await lookAt(source);
        if (troubles.delete(source.key))
          deps.log.info({ source: source.key }, "what moved can be read again");
      } catch (error) {
        if (stopped) return false;
        isWhole = false;
        const why = explain(error);
        if (troubles.get(source.key) !== why)
          deps.log.warn({ source: source.key, why }, "what moved cannot be read; asking again");
        troubles.set(source.key, why);
      }
    }
    return isWhole;
  };

  const lookAt = async (source: Source) => {
    const mark = marks.of(source.key);
    // Before `begin` nobody can say what is old and what is new.
    if (mark === null) return;
    let found = await deps.forge.moved(source.scope, mark.at - OVERLAP_MS);
    if (stopped) return;
    const isBack = found.at < mark.at - OVERLAP_MS;
    if (isBack) {
      const since = sinceBack(mark, found.at);
      deps.log.warn({ source: source.key, from: mark.at, to: found.at }, "the forge's clock went back");
      found = await deps.forge.moved(source.scope, since);
      if (stopped) return;
      deps.db.transaction(() => deps.handled.rewind(since));
    }
    hear(found.at);
    const ticked = deps.db.transaction(() => store(source, found));
    if (ticked > 0) deps.log.info({ source: source.key, threads: ticked }, "threads moved: looking at them");
  };

  /**
   * What the clock shows now it may have shown before: everything since the last look counts, by our own
   * clock.
   */
  const sinceBack = (mark: Mark, forgeNow: number) =>
    forgeNow - Math.max(0, deps.clock.now() - mark.savedAt) - OVERLAP_MS;

  const store = (source: Source, found: Moved): number => {
    let ticked = 0;
    for (const thread of found.threads) {
      if (!source.holds(thread.repository.fullName) || !deps.isServed(thread.repository.fullName)) continue;
      if (isDone(source, thread)) continue;
      deps.queue.put(threadTick(thread, {}));
      marks.look(source.key, thread, found.at);
      ticked++;
    }
    marks.move(source.key, { at: found.at, savedAt: deps.clock.now() }, found.at - OVERLAP_MS);
    return ticked;
  };

  /** It has not moved since a look at it that came late enough to see all of that second. */
  const isDone = (source: Source, thread: MovedThread) => {
    const last = marks.lookedAt(source.key, thread);
    return last !== null && last.updatedAt === thread.updatedAt && last.at - last.updatedAt >= SETTLED_MS;
  };

  const again = async () => {
    const isWhole = await look();
    if (stopped) return;
    if (deps.pollMs > 0) cancel = deps.clock.after(deps.pollMs, () => void again());
    else if (!isWhole) cancel = deps.clock.after(RETRY_MS, () => void again());
  };

  return {
    begin(forgeNow, from) {
      hear(forgeNow);
      marks.keep(
        sources.map((source) => source.key),
        { at: from, savedAt: deps.clock.now() },
      );
    },
    start: () => void again(),
    look,
    forgeNow: () => (skewMs === null ? null : deps.clock.now() + skewMs),
    stop() {
      stopped = true;
      cancel();
    },
  };
}
