import type { Clock } from "../clock.ts";
import { matches } from "../commands/rights.ts";
import { LazarusError } from "../errors.ts";
import type { Db } from "../store/db.ts";

/**
 * What bears an id of the forge: a comment, a review (`points`: what it asks for), a comment at a line, what
 * a timeline shows (somebody closed or merged); of an issue it is its number.
 */
export type EntryKind = "comment" | "review" | "points" | "line" | "doing" | "issue";

/**
 * What has been read of the forge, so that nothing is run twice and nothing that was never meant for us is
 * run at all.
 */
export interface SeenEntries {
  /** Marks one thing; false if it was marked before. Joins the caller's transaction. */
  mark(repositoryId: number, source: EntryKind, id: number): boolean;
  isMarked(repositoryId: number, source: EntryKind, id: number): boolean;
  /** How many comments at lines a review had when they were read last; 0 if never. */
  linesRead(repositoryId: number, reviewId: number): number;
  rememberLines(repositoryId: number, reviewId: number, count: number): void;
  /** Forge time of the newest thing seen in a thread; 0 if none. */
  readUntil(repositoryId: number, number: number): number;
  rememberReadUntil(repositoryId: number, number: number, at: number): void;
  /**
   * Forge time since which a repository of this name has been served without a break: a pattern that took
   * another one's place goes on where that one ended; one that was away for a while counts from its return.
   * @throws LazarusError `forge-unreachable` (retryable) while the forge has not told its clock.
   */
  servedSince(fullName: string): number;
  /** Remembers the patterns that are served from `at` on; those that were served before keep their time. */
  serve(patterns: readonly string[], at: number): void;
  /**
   * The forge's clock went back to about `at`: what was read of later times is no measure any more. Joins the
   * caller's transaction.
   */
  rewind(at: number): void;
}

/** Over the registry's tables `handled`, `threads` and `served`. */
export function createSeenEntries(db: Db, deps: { clock: Clock; patterns: readonly string[] }): SeenEntries {
  const { sql } = db;
  // Prepared once: every look at a thread asks them.
  const statements = {
    mark: sql.prepare(
      "INSERT OR IGNORE INTO handled (repository, kind, id, at) VALUES (@repositoryId, @source, @id, @at)",
    ),
    lines: sql.prepare("SELECT value FROM facts WHERE name = @name"),
    rememberLines: sql.prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (@name, @value)"),
    readUntil: sql.prepare(
      "SELECT read_until AS at FROM threads WHERE repository = @repositoryId AND number = @number",
    ),
    remember: sql.prepare(
      `INSERT INTO threads (repository, number, read_until) VALUES (@repositoryId, @number, @at)
       ON CONFLICT DO UPDATE SET read_until = MAX(read_until, excluded.read_until)`,
    ),
    isMarked: sql.prepare(
      "SELECT 1 FROM handled WHERE repository = @repositoryId AND kind = @source AND id = @id",
    ),
    served: sql.prepare("SELECT pattern, since, until FROM served"),
    serve: sql.prepare(
      `INSERT INTO served (pattern, since, until) VALUES (@pattern, @at, NULL)
       ON CONFLICT DO UPDATE SET until = NULL, since = CASE WHEN until IS NULL THEN since ELSE @at END`,
    ),
    unserve: sql.prepare(
      `UPDATE served SET until = @at WHERE until IS NULL
         AND pattern NOT IN (SELECT value FROM json_each(@patterns))`,
    ),
    rewindServed: sql.prepare("UPDATE served SET since = min(since, @at), until = min(until, @at)"),
    rewindThreads: sql.prepare("UPDATE threads SET read_until = @at WHERE read_until > @at"),
  };
  return {
    mark: (repositoryId, source, id) =>
      statements.mark.run({ repositoryId, source, id, at: deps.clock.now() }).changes === 1,

    linesRead(repositoryId, reviewId) {
      const row = statements.lines.get({ name: linesName(repositoryId, reviewId) });
      return Number((row as { value: string } | undefined)?.value ?? 0);
    },

    rememberLines(repositoryId, reviewId, count) {
      statements.rememberLines.run({ name: linesName(repositoryId, reviewId), value: String(count) });
    },

    readUntil(repositoryId, number) {
      const row = statements.readUntil.get({ repositoryId, number });
      return (row as { at: number } | undefined)?.at ?? 0;
    },

    rememberReadUntil(repositoryId, number, at) {
      statements.remember.run({ repositoryId, number, at });
    },

    isMarked: (repositoryId, source, id) =>
      statements.isMarked.get({ repositoryId, source, id }) !== undefined,

    servedSince(fullName) {
      const rows = (statements.served.all() as Served[]).filter((row) => matches(row.pattern, fullName));
      const now = rows.filter((row) => row.until === null && deps.patterns.includes(row.pattern));
      if (now.length === 0) {
        throw new LazarusError(
          "forge-unreachable",
          `reading ${fullName}: the forge has not answered since the start`,
          { retryable: true },
        );
      }
      return earliest(
        Math.min(...now.map((row) => row.since)),
        rows.filter((row) => row.until !== null),
      );
    },

    serve(patterns, at) {
      db.transaction(() => {
        statements.unserve.run({ at, patterns: JSON.stringify(patterns) });
        for (const pattern of patterns) statements.serve.run({ pattern, at });
      });
    },

    rewind(at) {
      statements.rewindServed.run({ at });
      statements.rewindThreads.run({ at });
    },
  };
}

interface Served {
  readonly pattern: string;
  readonly since: number;
  readonly until: number | null;
}

/** Goes back from `since` over every span that ended just when the next one began. */
function earliest(since: number, ended: readonly Served[]): number {
  const before = ended.find((row) => row.until !== null && row.until >= since && row.since < since);
  return before === undefined ? since : earliest(before.since, ended);
}

function linesName(repositoryId: number, reviewId: number): string {
  return `lines read:${repositoryId}:${reviewId}`;
}
