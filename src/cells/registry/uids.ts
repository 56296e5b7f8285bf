import { LazarusError } from "../../errors.ts";
import type { CellUserNumbers } from "../../protocol/shapes.ts";
import type { Db } from "../../store/db.ts";

/**
 * Numbers of their own for cells (uid and gid) and repositories (gid), where Lazarus is root. A cell's is
 * given back once nothing of the cell is left; a repository's never: its mirror, which the group may read,
 * stays. They are of one machine: cells of other runners have none of them. All methods are synchronous and
 * join the caller's transaction.
 */
export interface Uids {
  /** Why a further cell of that repository cannot have a user; null: it can. */
  shortage(repositoryId: number): string | null;
  /**
   * Writes down a user for a cell that has none; false where none is left, and it may go to another runner.
   * @throws LazarusError `configuration` where the range is used up.
   */
  give(cellId: string, repositoryId: number): boolean;
  /**
   * Writes down who the next cell of that repository will run as, so that a tree of that user's can wait for
   * it. No cell gets that user before `spareIsMade` says so of the cell that asked last. A null user: as its
   * runner does. Null: no number is left for that.
   */
  forSpare(cellId: string, repositoryId: number): { readonly user: CellUserNumbers | null } | null;
  /** Nothing is at work any more at the tree that `cellId` asked for. */
  spareIsMade(cellId: string): void;
  /** Null: the cell runs as its runner does. */
  of(cellId: string): CellUserNumbers | null;
  /** Harmless where it has none. */
  release(cellId: string): void;
}

export interface UidsOptions {
  readonly range: { readonly first: number; readonly last: number };
  /** Whether Lazarus is root; else nobody gets anything. */
  readonly asRoot: boolean;
  /** Whose cells may have them: `cells.runner`. */
  readonly runner: string;
  /** Whether a cell may go to another runner: then it needs none here. */
  readonly isElsewhereToo?: () => boolean;
}

/** Whose a number is; `spare_of`: the next cell's of that repository. */
type Owner = "cell" | "repository" | "spare_of";

const LAST_GIVEN = "last uid given";

export function createUids(db: Db, options: UidsOptions): Uids {
  const { range, asRoot, runner, isElsewhereToo = () => false } = options;
  const numberOf = (column: Owner, value: string | number): number | null => {
    const row = db.sql.prepare(`SELECT number FROM uids WHERE ${column} = @value`).get({ value });
    return (row as { number: number } | undefined)?.number ?? null;
  };
  const isOurs = (cellId: string): boolean =>
    db.sql.prepare("SELECT 1 FROM cells WHERE id = @cellId AND runner = @runner").get({ cellId, runner }) !==
    undefined;
  const free = (): number => {
    const row = db.sql
      .prepare(
        "SELECT COUNT(*) AS taken FROM uids WHERE number BETWEEN @first AND @last AND (spare_of IS NULL OR spare_asked_by IS NOT NULL)",
      )
      .get(range);
    return range.last - range.first + 1 - (row as { taken: number }).taken;
  };
  const shortage = (repositoryId: number): string | null => {
    if (!asRoot || free() >= (numberOf("repository", repositoryId) === null ? 2 : 1)) return null;
    const said = `${range.first}-${range.last}`;
    return `no user is left for another cell, all of ${said} are taken (uids in lazarus.yaml): destroy cells that are done, or widen the range`;
  };
  const take = (owner: Owner, value: string | number): void => {
    const number = nextFree(db, range);
    db.sql.prepare(`INSERT INTO uids (number, ${owner}) VALUES (@number, @value)`).run({ number, value });
    db.sql
      .prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (@name, @value)")
      .run({ name: LAST_GIVEN, value: String(number) });
  };
  return {
    shortage: (repositoryId) => (isElsewhereToo() ? null : shortage(repositoryId)),
    give(cellId, repositoryId) {
      if (!asRoot || !isOurs(cellId) || numberOf("cell", cellId) !== null) return true;
      const why = shortage(repositoryId);
      if (why !== null && isElsewhereToo()) return false;
      if (why !== null) throw new LazarusError("configuration", `making cell ${cellId}: ${why}`);
      if (numberOf("repository", repositoryId) === null) take("repository", repositoryId);
      const { changes } = db.sql
        .prepare(
          "UPDATE uids SET cell = @cellId, spare_of = NULL WHERE spare_of = @repositoryId AND spare_asked_by IS NULL",
        )
        .run({ cellId, repositoryId });
      if (changes === 0) take("cell", cellId);
      return true;
    },
    forSpare(cellId, repositoryId) {
      if (!asRoot) return { user: null };
      const group = numberOf("repository", repositoryId);
      if (group === null) return null;
      if (numberOf("spare_of", repositoryId) === null) {
        if (free() < 1) return null;
        take("spare_of", repositoryId);
      }
      db.sql
        .prepare("UPDATE uids SET spare_asked_by = @cellId WHERE spare_of = @repositoryId")
        .run({ cellId, repositoryId });
      const uid = numberOf("spare_of", repositoryId) ?? 0;
      return { user: { uid, gid: uid, groups: [group] } };
    },
    spareIsMade(cellId) {
      db.sql.prepare("UPDATE uids SET spare_asked_by = NULL WHERE spare_asked_by = @cellId").run({ cellId });
    },
    of(cellId) {
      const uid = numberOf("cell", cellId);
      if (!asRoot || uid === null || !isOurs(cellId)) return null;
      const row = db.sql
        .prepare(
          "SELECT uids.number FROM uids JOIN cells ON uids.repository = cells.repository WHERE cells.id = @cellId",
        )
        .get({ cellId }) as { number: number } | undefined;
      return { uid, gid: uid, groups: row === undefined ? [] : [row.number] };
    },
    release(cellId) {
      db.sql.prepare("DELETE FROM uids WHERE cell = @cellId").run({ cellId });
    },
  };
}

/**
 * The next one after the last that was given, round and round: what a cell left behind in /tmp becomes
 * another's as late as possible.
 */
function nextFree(db: Db, range: UidsOptions["range"]): number {
  const row = db.sql.prepare("SELECT value FROM facts WHERE name = @name").get({ name: LAST_GIVEN });
  const last = Number((row as { value: string } | undefined)?.value ?? range.first - 1);
  const taken = new Set(
    (db.sql.prepare("SELECT number FROM uids").all() as { number: number }[]).map((each) => each.number),
  );
  const size = range.last - range.first + 1;
  const start = last >= range.first && last < range.last ? last + 1 - range.first : 0;
  for (let step = 0; step < size; step++) {
    const number = range.first + ((start + step) % size);
    if (!taken.has(number)) return number;
  }
  // Of all numbers those of spare trees are missed least: nobody runs as them.
  const spare = db.sql
    .prepare(
      "DELETE FROM uids WHERE number = (SELECT MIN(number) FROM uids WHERE spare_of IS NOT NULL AND spare_asked_by IS NULL) RETURNING number",
    )
    .get() as { number: number } | undefined;
  if (spare !== undefined) return spare.number;
  throw new LazarusError("internal", `all numbers of ${range.first}-${range.last} are taken`);
}
