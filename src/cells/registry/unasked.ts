import type { Clock } from "../../clock.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Db } from "../../store/db.ts";

/** An issue or a pull request. */
export interface Thread {
  readonly repository: RepositoryRef;
  readonly number: number;
}

/**
 * More comments than this within this time on one thread, which nobody with a role asked for, and it is
 * quiet.
 */
export const MOST_UNASKED = 10;
export const UNASKED_MS = 10 * 60_000;
/** Refusals that one person without a role is answered with in words, within this time, wherever. */
export const MOST_REFUSALS = 3;
const REFUSALS_MS = 60 * 60_000;

/** What the bot wrote that nobody with a role asked for. All methods join the caller's transaction. */
export interface Unasked {
  /**
   * Counts a comment, known by its marker: counted twice it is one. Answers whether the thread is quiet from
   * now on, and was not before.
   */
  count(marker: string, at: Thread & { readonly person: number | null }): boolean;
  /** Whether somebody was refused so often lately that more words say nothing. */
  isTold(person: number): boolean;
  /** Since when a thread is quiet (epoch ms); null: it is not. */
  quietSince(thread: Thread): number | null;
  /** A director was here: it is quiet no more. Answers whether it was. */
  wake(thread: Thread): boolean;
}

export function createUnasked({ sql }: Pick<Db, "sql">, clock: Clock): Unasked {
  const quietSince = ({ repository, number }: Thread) => {
    const at = sql
      .prepare("SELECT at FROM quiet WHERE repository = @repositoryId AND number = @number")
      .pluck()
      .get({ repositoryId: repository.id, number });
    return typeof at === "number" ? at : null;
  };
  return {
    count(marker, { repository, number, person }) {
      const repositoryId = repository.id;
      const now = clock.now();
      sql.prepare("DELETE FROM unasked WHERE at <= @before").run({ before: now - REFUSALS_MS });
      sql
        .prepare(
          `INSERT OR IGNORE INTO unasked (marker, repository, number, person, at)
           VALUES (@marker, @repositoryId, @number, @person, @now)`,
        )
        .run({ marker, repositoryId, number, person, now });
      const written = sql
        .prepare(
          "SELECT count(*) FROM unasked WHERE repository = @repositoryId AND number = @number AND at > @since",
        )
        .pluck()
        .get({ repositoryId, number, since: now - UNASKED_MS });
      if (Number(written) <= MOST_UNASKED || quietSince({ repository, number }) !== null) return false;
      sql
        .prepare("INSERT INTO quiet (repository, number, at) VALUES (@repositoryId, @number, @now)")
        .run({ repositoryId, number, now });
      return true;
    },
    isTold(person) {
      const told = sql
        .prepare("SELECT count(*) FROM unasked WHERE person = @person AND at > @since")
        .pluck()
        .get({ person, since: clock.now() - REFUSALS_MS });
      return Number(told) >= MOST_REFUSALS;
    },
    quietSince,
    wake({ repository, number }) {
      const repositoryId = repository.id;
      const { changes } = sql
        .prepare("DELETE FROM quiet WHERE repository = @repositoryId AND number = @number")
        .run({ repositoryId, number });
      // What was written before counts for the thread no more, and for who was refused as before.
      if (changes > 0)
        sql
          .prepare("UPDATE unasked SET number = 0 WHERE repository = @repositoryId AND number = @number")
          .run({ repositoryId, number });
      return changes > 0;
    },
  };
}
