import type { MovedThread } from "../gitea/port.ts";
import type { Db } from "../store/db.ts";

/** Up to when a source has told what moved. */
export interface Mark {
  /** The forge's time, epoch ms. */
  readonly at: number;
  /** Our time when it was written, epoch ms. */
  readonly savedAt: number;
}

/**
 * Where catch-up is, and which threads it had looked at: tables `catchup_marks` and `catchup_looks`. All of
 * it joins the caller's transaction.
 */
export interface Marks {
  of(source: string): Mark | null;
  /** Moves a mark on, and forgets looks at what moved before `listedFrom`: that cannot be listed any more. */
  move(source: string, mark: Mark, listedFrom: number): void;
  /**
   * Keeps the marks of these sources and drops others. One that is new begins at `now`, or where one that is
   * dropped had come to: a repository may have changed from the one to the other.
   */
  keep(sources: readonly string[], now: Mark): void;
  /** When (the forge's time) a thread was last looked at, and the time of its last move as it was then. */
  lookedAt(source: string, thread: MovedThread): { readonly updatedAt: number; readonly at: number } | null;
  look(source: string, thread: MovedThread, at: number): void;
}

export function createCatchupMarks(db: Db): Marks {
  const { sql } = db;
  const statements = {
    of: sql.prepare("SELECT at, saved_at AS savedAt FROM catchup_marks WHERE source = @source"),
    all: sql.prepare("SELECT source, at FROM catchup_marks"),
    put: sql.prepare(
      "INSERT OR REPLACE INTO catchup_marks (source, at, saved_at) VALUES (@source, @at, @savedAt)",
    ),
    drop: sql.prepare("DELETE FROM catchup_marks WHERE source = @source"),
    dropLooks: sql.prepare("DELETE FROM catchup_looks WHERE source = @source AND updated_at < @before"),
    looked: sql.prepare(
      "SELECT updated_at AS updatedAt, at FROM catchup_looks WHERE source = @source AND repository = @repository AND number = @number",
    ),
    look: sql.prepare(
      "INSERT OR REPLACE INTO catchup_looks (source, repository, number, updated_at, at) VALUES (@source, @repository, @number, @updatedAt, @at)",
    ),
  };
  const of = (source: string) => (statements.of.get({ source }) as Mark | undefined) ?? null;
  const at = (source: string, thread: MovedThread) => ({
    source,
    repository: thread.repository.id,
    number: thread.number,
  });
  return {
    of,

    move(source, mark, listedFrom) {
      statements.put.run({ source, ...mark });
      statements.dropLooks.run({ source, before: listedFrom });
    },

    keep(sources, now) {
      const known = statements.all.all() as { source: string; at: number }[];
      const gone = known.filter((one) => !sources.includes(one.source));
      for (const { source } of gone) {
        statements.drop.run({ source });
        statements.dropLooks.run({ source, before: Number.MAX_SAFE_INTEGER });
      }
      const from = Math.min(now.at, ...gone.map((one) => one.at));
      for (const source of sources) {
        if (!known.some((one) => one.source === source)) statements.put.run({ source, ...now, at: from });
      }
    },

    lookedAt(source, thread) {
      const row = statements.looked.get(at(source, thread));
      return (row as { updatedAt: number; at: number } | undefined) ?? null;
    },

    look(source, thread, lookedAt) {
      statements.look.run({ ...at(source, thread), updatedAt: thread.updatedAt, at: lookedAt });
    },
  };
}
