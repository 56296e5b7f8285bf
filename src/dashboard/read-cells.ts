import type { Cell, Run } from "../cells/cell.ts";
import { cellFromRow } from "../cells/registry/cell-row.ts";
import { LAST_KEPT, runFromRow } from "../cells/registry/run-row.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Db } from "../store/db.ts";

/** Every query takes the repositories somebody sees as a JSON list of ids: others are as if not there. */
const SEEN = "cells.repository IN (SELECT value FROM json_each(@ids))";
/** The same where another way to the rows is shorter than the index of repositories. */
const AND_SEEN = `+${SEEN}`;

/** A block of a page shows no more rows; what is more is told as a number. */
export const MOST_ROWS = 20;

/** Repositories that have, or had, cells; each is found by one step in an index. */
export function knownRepositories({ sql }: Pick<Db, "sql">): RepositoryRef[] {
  return sql
    .prepare(
      `WITH RECURSIVE each (id) AS (
         SELECT min(repository) FROM cells
         UNION ALL SELECT (SELECT min(repository) FROM cells WHERE repository > each.id) FROM each WHERE each.id IS NOT NULL)
       SELECT id, (SELECT full_name FROM cells WHERE repository = each.id ORDER BY number LIMIT 1) AS fullName
       FROM each WHERE id IS NOT NULL`,
    )
    .all() as RepositoryRef[];
}

/** As the index `cells_held` has it. */
const HELD = `state = 'idle'
  AND (breaker IS NOT NULL OR push_refused IS NOT NULL OR json_array_length(harvest, '$.heldBack') > 0 OR json_array_length(harvest, '$.protectedPaths') > 0
    OR json_array_length(harvest, '$.forbidden') > 0 OR json_array_length(harvest, '$.shownSecrets') > 0)`;
const MOST_LOOKED_AT = 200;
/** Of each reason to wait; more than any page shows. */
const MOST_OF_REASON = 100;

/** Cells that may wait for a person, oldest first: approval, work held back, a question and the like. */
export function mayWait({ sql }: Pick<Db, "sql">, ids: string): Cell[] {
  const reasons = [
    `cells WHERE state = 'proposed' AND state <> 'destroyed' AND waits_for_approval = 1 AND ${SEEN}`,
    `cells WHERE ${HELD} AND ${SEEN}`,
    `runs INDEXED BY runs_needing CROSS JOIN cells ON cells.id = runs.cell
     WHERE runs.exit_class IN ('question','not-logged-in','no-credit','cannot-run') AND cells.state = 'idle' AND ${AND_SEEN}
       AND runs.n = (SELECT max(n) FROM runs AS later WHERE later.cell = runs.cell AND later.state <> 'withdrawn')`,
  ];
  // Which ones first: whole rows are large, and are read of those alone.
  const rows = reasons.map(
    (from) =>
      `SELECT row FROM (SELECT cells.rowid AS row FROM ${from} ORDER BY cells.rowid LIMIT ${MOST_OF_REASON})`,
  );
  return sql
    .prepare(`SELECT * FROM cells WHERE rowid IN (${rows.join(" UNION ")}) ORDER BY rowid`)
    .all({ ids })
    .map(cellFromRow);
}

/** The last run that worked of each of these cells, by its cell. */
export function lastKeptRuns({ sql }: Pick<Db, "sql">, cells: readonly Cell[]): ReadonlyMap<string, Run> {
  const ids = JSON.stringify(cells.map(({ id }) => id));
  const query = `SELECT runs.* FROM json_each(@ids) AS wanted CROSS JOIN runs ON runs.cell = wanted.value
     AND runs.n = (SELECT n FROM (${LAST_KEPT.replace("@cellId", "wanted.value")}))`;
  const found = sql.prepare(query).all({ ids }).map(runFromRow);
  return new Map(found.map((run) => [run.cellId, run]));
}

/** Cells at work, those first that began first. */
export function atWork({ sql }: Pick<Db, "sql">, ids: string): Cell[] {
  return sql
    .prepare(
      `SELECT cells.* FROM cells WHERE state = 'active' AND state <> 'destroyed' AND ${SEEN} ORDER BY cells.rowid LIMIT ${MOST_LOOKED_AT}`,
    )
    .all({ ids })
    .map(cellFromRow);
}

/** Cells whose runs ended since (epoch ms), the newest first. */
export function endedSince({ sql }: Pick<Db, "sql">, ids: string, since: number): Cell[] {
  const rows = sql
    .prepare(
      `SELECT cells.* FROM runs INDEXED BY runs_ended JOIN cells ON cells.id = runs.cell
       WHERE runs.ended_at > @since AND runs.ended_at IS NOT NULL AND cells.state IN ('idle','archived','closing') AND ${SEEN}
       ORDER BY runs.ended_at DESC LIMIT 60`,
    )
    .all({ ids, since })
    .map(cellFromRow);
  return [...new Map(rows.map((cell) => [cell.id, cell])).values()].slice(0, MOST_ROWS);
}

/** What the list of cells is narrowed by; absent: by nothing. */
export interface CellSearch {
  readonly state?: string;
  readonly health?: string;
  readonly outcome?: string;
  readonly repo?: string;
  readonly agent?: string;
  readonly by?: string;
  /** In titles, or where an id begins. */
  readonly q?: string;
  /** Rows before this one. */
  readonly before?: number;
}

export const PAGE_ROWS = 50;

/** A page of cells, newest first, and where the next one begins; null: there is none. */
export function findCells(
  { sql }: Pick<Db, "sql">,
  ids: string,
  { before = Number.MAX_SAFE_INTEGER, ...search }: CellSearch,
): { readonly cells: Cell[]; readonly next: number | null } {
  const has = (text: string | undefined) => (text === undefined || text === "" ? null : text);
  const wanted = {
    ...{ state: has(search.state), health: has(search.health), outcome: has(search.outcome) },
    ...{ repo: has(search.repo), agent: has(search.agent), by: has(search.by), q: has(search.q) },
  };
  const rows = sql
    .prepare(
      `SELECT cells.rowid AS row, cells.* FROM cells WHERE cells.rowid < @before AND ${AND_SEEN}
         AND (CASE WHEN @state IS NULL THEN state <> 'destroyed' ELSE state = @state END)
         AND (@health IS NULL OR health = @health) AND (@outcome IS NULL OR outcome = @outcome)
         AND (@repo IS NULL OR lower(full_name) = lower(@repo)) AND (@agent IS NULL OR agent = @agent)
         AND (@by IS NULL OR lower(requester_login) = lower(@by))
         AND (@q IS NULL OR instr(lower(title), lower(@q)) > 0 OR substr(id, 1, length(@q)) = lower(@q))
       ORDER BY cells.rowid DESC LIMIT ${PAGE_ROWS + 1}`,
    )
    .all({ ...wanted, ids, before }) as { row: number }[];
  const shown = rows.slice(0, PAGE_ROWS);
  return {
    cells: shown.map(cellFromRow),
    next: rows.length > PAGE_ROWS ? (shown.at(-1)?.row ?? null) : null,
  };
}

/** Cells whose id begins so, of those one sees. */
export function cellsLike({ sql }: Pick<Db, "sql">, ids: string, prefix: string): Cell[] {
  if (!/^[0-9a-f-]{4,36}$/i.test(prefix)) return [];
  const from = prefix.toLowerCase();
  return sql
    .prepare(
      `SELECT cells.* FROM cells WHERE id >= @from AND id < @to AND ${SEEN} ORDER BY cells.rowid LIMIT 20`,
    )
    .all({ ids, from, to: `${from}g` })
    .map(cellFromRow);
}
