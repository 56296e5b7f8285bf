import type { Clock } from "../clock.ts";
import { matches } from "../commands/rights.ts";
import type { Db } from "../db.ts";
import { LazarusError } from "../errors.ts";

/** What has been read of the forge, so that nothing is run twice and nothing that was never meant for us is run at all. */
export interface Handled {
  /** Marks one comment or review; false if it was marked before. Joins the caller's transaction. */
  mark(repositoryId: number, source: "comment" | "review", id: number): boolean;
  /** Forge time of the newest thing seen in a thread; 0 if none. */
  readUntil(repositoryId: number, number: number): number;
  rememberReadUntil(repositoryId: number, number: number, at: number): void;
  /**
   * Forge time of the first start of this registry that served a repository of this name.
   * @throws LazarusError `forge-unreachable` (retryable) while the forge has not told its clock.
   */
  servedSince(fullName: string): number;
  /** Remembers the patterns that are served from now on; those that were known keep their time. */
  serve(patterns: readonly string[], forgeNow: number): void;
}

/** Over the registry's tables `handled`, `threads` and `served`. */
export function createHandled(db: Db, deps: { clock: Clock; patterns: readonly string[] }): Handled {
  const { sql } = db;
  // Prepared once: every look at a thread asks them.
  const statements = {
    mark: sql.prepare(
      "INSERT OR IGNORE INTO handled (repository, kind, id, at) VALUES (@repositoryId, @source, @id, @at)",
    ),
    readUntil: sql.prepare(
      "SELECT read_until AS at FROM threads WHERE repository = @repositoryId AND number = @number",
    ),
    remember: sql.prepare(
      `INSERT INTO threads (repository, number, read_until) VALUES (@repositoryId, @number, @at)
       ON CONFLICT DO UPDATE SET read_until = MAX(read_until, excluded.read_until)`,
    ),
    served: sql.prepare("SELECT pattern, since FROM served"),
    serve: sql.prepare("INSERT OR IGNORE INTO served (pattern, since) VALUES (@pattern, @forgeNow)"),
  };
  return {
    mark: (repositoryId, source, id) =>
      statements.mark.run({ repositoryId, source, id, at: deps.clock.now() }).changes === 1,

    readUntil(repositoryId, number) {
      const row = statements.readUntil.get({ repositoryId, number });
      return (row as { at: number } | undefined)?.at ?? 0;
    },

    rememberReadUntil(repositoryId, number, at) {
      statements.remember.run({ repositoryId, number, at });
    },

    servedSince(fullName) {
      const rows = statements.served.all() as {
        pattern: string;
        since: number;
      }[];
      const current = rows.filter((row) => matches(row.pattern, fullName));
      if (current.length === 0) {
        throw new LazarusError(
          "forge-unreachable",
          `reading ${fullName}: the forge has not answered since the start`,
          { retryable: true },
        );
      }
      return Math.min(...current.map((row) => row.since));
    },

    serve(patterns, forgeNow) {
      db.transaction(() => {
        for (const pattern of patterns) statements.serve.run({ pattern, forgeNow });
      });
    },
  };
}
