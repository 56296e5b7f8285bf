import * as z from "zod";
import type { Db } from "../../store/db.ts";
import { CHECK_STATES, type Check, SIDES } from "../check.ts";
import { fixed, int, json, type KeysOf, later, maybe, oneOf, open, table, text } from "./columns.ts";
import { changeRow } from "./rows.ts";

export type NewCheck = Pick<Check, "cellId" | "tip" | "name" | "side" | "commit" | "basis" | "agent">;

const words = json<readonly string[]>(z.array(z.string()));
const CHECKS = table(
  {
    cellId: fixed(text),
    n: fixed(int),
    tip: fixed(text),
    name: fixed(text),
    side: fixed(oneOf(SIDES)),
    commit: fixed(text),
    basis: fixed(text),
    agent: fixed(text),
    state: open(oneOf(CHECK_STATES)),
    handle: later(maybe(json(z.record(z.string(), z.unknown())))),
    startedAt: later(maybe(int)),
    limitMs: later(maybe(int)),
    endedAt: later(maybe(int)),
    code: later(maybe(int)),
    why: later(maybe(text)),
    tail: later(text),
    refusedHosts: later(words),
    leftovers: later(words),
  },
  { cellId: "cell", commit: "commit_sha" },
);
type CheckChange = Partial<Pick<Check, KeysOf<(typeof CHECKS)["columns"], "open" | "later">>>;

/** The checks of all cells. All methods are synchronous and join the caller's transaction. */
export interface Checks {
  /** Answers its number. */
  add(check: NewCheck): number;
  one(cellId: string, n: number): Check | null;
  change(cellId: string, n: number, change: CheckChange): void;
  /** Those of one tip, in the order in which they were begun; of all tips where none is named. */
  of(cellId: string, tip?: string): Check[];
  /** The one that is at work, or about to begin. */
  atWork(cellId: string): Check | null;
  /** The same of all cells. */
  allAtWork(): Check[];
  /** The newest that passed or failed on that commit of a repository, in whichever cell. */
  known(repositoryId: number, commit: string, basis: string): Check | null;
  /** What was found of a tip is not believed any more: it is all done again. */
  supersede(cellId: string, tip: string): void;
}

/** Checks in the table of that name. */
export function createChecks(db: Pick<Db, "sql">): Checks {
  const { sql } = db;
  const all = (query: string, bound: object) => sql.prepare(query).all(bound).map(CHECKS.read);
  const first = (query: string, bound: object) => all(query, bound)[0] ?? null;
  return {
    add(check) {
      const row = CHECKS.write(check);
      return (sql.prepare(INSERT).get(row) as { n: number }).n;
    },
    one: (cellId, n) => first("SELECT * FROM checks WHERE cell = @cellId AND n = @n", { cellId, n }),
    change: (cellId, n, change) => changeRow(db, "checks", CHECKS.write(change), { cell: cellId, n }),
    of: (cellId, tip) =>
      all("SELECT * FROM checks WHERE cell = @cellId AND tip = COALESCE(@tip, tip) ORDER BY n", {
        cellId,
        tip: tip ?? null,
      }),
    atWork: (cellId) =>
      first(`SELECT * FROM checks WHERE cell = @cellId AND ${AT_WORK} ORDER BY n`, { cellId }),
    allAtWork: () => all(`SELECT * FROM checks WHERE ${AT_WORK} ORDER BY cell, n`, {}),
    known: (repositoryId, commit, basis) => first(KNOWN, { repositoryId, commit, basis }),
    supersede(cellId, tip) {
      sql
        .prepare(
          "UPDATE checks SET state = 'superseded' WHERE cell = @cellId AND tip = @tip AND side = 'tip'",
        )
        .run({ cellId, tip });
    },
  };
}

const AT_WORK = "state IN ('waiting','running')";
const INSERT = `
  INSERT INTO checks (cell, n, tip, name, side, commit_sha, basis, agent)
  VALUES (@cell, (SELECT COALESCE(MAX(n), 0) + 1 FROM checks WHERE cell = @cell), @tip, @name, @side,
    @commit_sha, @basis, @agent) RETURNING n`;
const KNOWN = `
  SELECT checks.* FROM checks JOIN cells ON cells.id = checks.cell
  WHERE cells.repository = @repositoryId AND commit_sha = @commit AND basis = @basis
    AND checks.state IN ('passed','failed') ORDER BY ended_at DESC LIMIT 1`;
