import * as z from "zod";
import type { Db } from "../../store/db.ts";
import { LAST_KEPT } from "./run-row.ts";

/** Whom a run counts for: a person of the forge; the operator of a command line is none, and has no limit. */
type Person = string | null;

/** A run that waits in line. */
export interface Waiting {
  readonly cellId: string;
  readonly n: number;
  /** Runs with a smaller one were asked for earlier. */
  readonly seq: number;
  readonly person: Person;
  readonly login: string;
  /** Epoch ms: a retry waits for its time, whatever place there is. */
  readonly notBefore: number | null;
}

/** What one cell takes of the places, and what of it waits for one. */
export interface CellPlaces {
  readonly cellId: string;
  /** Whose the cell is. */
  readonly runner: string;
  /** In lower case: names compare without. */
  readonly owner: string;
  readonly repository: number;
  readonly fullName: string;
  readonly waitsForApproval: boolean;
  /** Whom each of its runs that is admitted or runs counts for. */
  readonly running: readonly Person[];
  /** Whom its checks count for, which give way to a run of the same cell; undefined: none is at work. */
  readonly checking: Person | undefined;
  readonly waiting: readonly Waiting[];
}

/** How many places are taken: in all, and by whom. */
export interface Load {
  all: number;
  readonly owners: Map<string, number>;
  readonly repositories: Map<number, number>;
  readonly people: Map<string, number>;
  /** Places of each runner, which checks take none of. */
  readonly runners: Map<string, number>;
}

/**
 * Who runs and who waits, in memory: counting it costs nothing, however many run. It is read once, and from
 * then on only cells whose rows changed are read again; what a transaction has changed is seen inside of it,
 * and forgotten where it is rolled back.
 */
export interface Places {
  /** Changes whenever anything here does. */
  version(): number;
  load(): Load;
  of(cellId: string): CellPlaces | null;
  /** Cells with a run in line. */
  inLine(): Iterable<CellPlaces>;
}

const count = z.union([z.literal(0), z.literal(1)]).transform(Boolean);
const cellRow = z.object({
  ...{ repository: z.number(), full_name: z.string(), waits_for_approval: count, runner: z.string() },
});
const runRow = z.object({
  n: z.number(),
  seq: z.number(),
  state: z.enum(["waiting", "admitted", "running"]),
  requester_id: z.number().nullable(),
  requester_login: z.string(),
  not_before: z.number().nullable(),
});

export function createPlaces(db: Db): Places {
  const cells = new Map<string, CellPlaces>();
  const lined = new Set<string>();
  const load: Load = {
    ...{ all: 0, owners: new Map(), repositories: new Map(), people: new Map(), runners: new Map() },
  };
  const changed = new Set<string>();
  let reader: ((cellId: string) => CellPlaces | null) | null = null;
  let version = 0;

  const put = (cellId: string, now: CellPlaces | null) => {
    const before = cells.get(cellId);
    if (before === undefined && now === null) return;
    if (before !== undefined) count1(load, before, -1);
    version++;
    cells.delete(cellId);
    lined.delete(cellId);
    if (now === null) return;
    cells.set(cellId, now);
    count1(load, now, 1);
    if (now.waiting.length > 0) lined.add(cellId);
  };

  const readAgain = (read: (cellId: string) => CellPlaces | null) => {
    for (const cellId of changed) put(cellId, read(cellId));
  };

  /** What is changed in a transaction may be rolled back: it is read again until that is over. */
  const settle = () => {
    reader ??= open(db, changed);
    const read = reader;
    if (changed.size === 0) return;
    readAgain(read);
    if (!db.sql.inTransaction) changed.clear();
    else
      db.afterCommit(() => {
        readAgain(read);
        changed.clear();
      });
  };

  return {
    version() {
      settle();
      return version;
    },
    load() {
      settle();
      return load;
    },
    of(cellId) {
      settle();
      return cells.get(cellId) ?? null;
    },
    *inLine() {
      settle();
      for (const cellId of lined) {
        const one = cells.get(cellId);
        if (one !== undefined) yield one;
      }
    },
  };
}

function count1(load: Load, cell: CellPlaces, by: 1 | -1): void {
  for (const person of cell.running) addTo(load, { ...cell, person }, by);
  addIn(load.runners, cell.runner, by * cell.running.length);
  if (cell.checking !== undefined) addTo(load, { ...cell, person: cell.checking }, by);
}

/** Takes or gives back one place. */
export function addTo(
  load: Load,
  at: Pick<CellPlaces, "owner" | "repository"> & { readonly person: Person },
  by: number,
): void {
  load.all += by;
  addIn(load.owners, at.owner, by);
  addIn(load.repositories, at.repository, by);
  if (at.person !== null) addIn(load.people, at.person, by);
}

function addIn<K>(counts: Map<K, number>, key: K, by: number): void {
  const now = (counts.get(key) ?? 0) + by;
  if (now === 0) counts.delete(key);
  else counts.set(key, now);
}

const OPEN = "state IN ('waiting','admitted','running')";
const AT_WORK = "state IN ('waiting','running')";

/**
 * Has this connection tell of every row that is written from now on, whoever writes it, and names all cells
 * that there are for a first reading.
 */
function open({ sql }: Db, changed: Set<string>): (cellId: string) => CellPlaces | null {
  sql.function("lazarus_changed", (cellId) => {
    changed.add(String(cellId));
    return null;
  });
  const tell = (name: string, on: string, cell: string, when = "1") =>
    `CREATE TEMP TRIGGER IF NOT EXISTS places_${name} AFTER ${on}
     WHEN ${when} BEGIN SELECT lazarus_changed(${cell}); END;`;
  const columns = "state, requester_id, requester_login, not_before";
  sql.exec(
    [
      tell("run_added", "INSERT ON main.runs", "NEW.cell"),
      tell("run_changed", `UPDATE OF ${columns} ON main.runs`, "NEW.cell"),
      tell("check_added", "INSERT ON main.checks", "NEW.cell"),
      tell("check_changed", "UPDATE OF state ON main.checks", "NEW.cell"),
      tell(
        "cell_changed",
        "UPDATE OF waits_for_approval, full_name, runner ON main.cells",
        "NEW.id",
        "OLD.waits_for_approval <> NEW.waits_for_approval OR OLD.full_name <> NEW.full_name OR OLD.runner <> NEW.runner",
      ),
    ].join("\n"),
  );
  const all = sql
    .prepare(`SELECT cell FROM runs WHERE ${OPEN} UNION SELECT cell FROM checks WHERE ${AT_WORK}`)
    .pluck();
  for (const cellId of all.all()) changed.add(String(cellId));

  const cell = sql.prepare(
    "SELECT repository, full_name, waits_for_approval, runner FROM cells WHERE id = @cellId",
  );
  const runs = sql.prepare(
    `SELECT n, seq, state, requester_id, requester_login, not_before FROM runs
     WHERE cell = @cellId AND ${OPEN} ORDER BY seq`,
  );
  const check = sql.prepare(`SELECT 1 FROM checks WHERE cell = @cellId AND ${AT_WORK} LIMIT 1`);
  const kept = sql.prepare(LAST_KEPT);
  return (cellId) => {
    const found = cell.get({ cellId });
    if (found === undefined) return null;
    const open = runs.all({ cellId }).map((row) => runRow.parse(row));
    const last = check.get({ cellId }) === undefined ? undefined : kept.get({ cellId });
    if (open.length === 0 && last === undefined) return null;
    const row = cellRow.parse(found);
    const { repository, full_name: fullName, waits_for_approval: waitsForApproval, runner } = row;
    return {
      ...{ cellId, runner, repository, fullName, waitsForApproval },
      owner: (fullName.split("/")[0] ?? "").toLowerCase(),
      running: open.filter((run) => run.state !== "waiting").map((run) => personOf(run.requester_id)),
      checking: last === undefined ? undefined : personOf(requesterOf.parse(last).requester_id),
      waiting: open
        .filter((run) => run.state === "waiting")
        .map(({ n, seq, requester_id, requester_login: login, not_before: notBefore }) => ({
          ...{ cellId, n, seq, login, notBefore },
          person: personOf(requester_id),
        })),
    };
  };
}

const requesterOf = z.object({ requester_id: z.number().nullable() });

function personOf(id: number | null): Person {
  return id === null ? null : String(id);
}
