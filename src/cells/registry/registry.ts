import type { Clock } from "../../clock.ts";
import { LazarusError } from "../../errors.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Db } from "../../store/db.ts";
import { type Cell, type Member, MOVES, type Run, type State } from "../cell.ts";
import type { HistoryRow } from "../history-row.ts";
import { briefPrompt } from "../prompt.ts";
import {
  type CellChange,
  cellFromRow,
  type DirectoryStanding,
  type NewCell,
  rowOfCellChange,
  rowOfNewCell,
  type StandingOf,
  standingFromRow,
  standingSql,
} from "./cell-row.ts";
import { type Checks, createChecks } from "./checks.ts";
import { createGuests, type Guests, membersOf } from "./guests.ts";
import { isIn } from "./is-in.ts";
import { createItems, type Items } from "./items.ts";
import { ADD_MEMBER, MEMBERS, REMOVE_MEMBER } from "./member-rows.ts";
import { createMessages, type Messages } from "./messages.ts";
import { createPlaces, type Places } from "./places.ts";
import { createPrompts, type Prompts } from "./prompts.ts";
import { createProposals, type Proposals } from "./proposals.ts";
import { addRow, changeRow } from "./rows.ts";
import {
  historyFromRow,
  LAST_KEPT,
  type NewRun,
  type RunChange,
  rowOfNewRun,
  rowOfRunChange,
  runFromRow,
} from "./run-row.ts";
import { createRunners, type Runners } from "./runners.ts";
import { createTeam, type Team } from "./team.ts";
import { createUnasked, type Unasked } from "./unasked.ts";
import { createVisits, type Visits } from "./visits.ts";

/**
 * Every cell, its members, runs and history. All methods are synchronous and join the caller's transaction.
 */
export class Registry {
  readonly prompts: Prompts;
  readonly messages: Messages;
  readonly items: Items;
  readonly team: Team;
  readonly checks: Checks;
  readonly guests: Guests;
  readonly visits: Visits;
  readonly unasked: Unasked;
  readonly proposals: Proposals;
  readonly runners: Runners;
  readonly places: Places;
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.prompts = createPrompts(db);
    this.messages = createMessages(db);
    this.items = createItems(db);
    this.team = createTeam(db);
    this.checks = createChecks(db);
    this.guests = createGuests(db);
    this.visits = createVisits(db);
    this.unasked = createUnasked(db, clock);
    this.proposals = createProposals(db);
    this.runners = createRunners(db);
    this.places = createPlaces(db);
  }

  transaction<T>(fn: () => T): T {
    return this.#db.transaction(fn);
  }

  /** Writes a new cell, `proposed`, with its first history row. */
  insert(cell: NewCell, members: readonly Member[], why: string): void {
    this.transaction(() => {
      const { seq } = this.#db.sql.prepare("SELECT COALESCE(MAX(seq), 0) + 1 AS seq FROM cells").get() as {
        seq: number;
      };
      addRow(this.#db, "cells", { ...rowOfNewCell(cell), seq });
      for (const member of members) this.addMember(cell.id, member);
      const [at, who] = [cell.createdAt, cell.requester.login];
      this.remember(cell.id, { at, from: null, to: "proposed", who, why });
    });
  }

  addMember(cellId: string, { name, kind, role }: Member): void {
    this.#db.sql.prepare(ADD_MEMBER).run({ cellId, name, kind, role });
  }

  removeMember(cellId: string, name: string): void {
    this.#db.sql.prepare(REMOVE_MEMBER).run({ cellId, name });
  }

  /**
   * Moves a cell, as compare-and-swap on the state the caller saw.
   * @throws LazarusError `internal` for a move that the table does not have, or when the cell is no longer in
   * `from`.
   */
  move(cellId: string, step: { from: State; to: State; who: string; why: string }): void {
    if (!MOVES[step.from].includes(step.to)) {
      throw new LazarusError(
        "internal",
        `moving cell ${cellId}: there is no move from ${step.from} to ${step.to}`,
      );
    }
    this.transaction(() => {
      const { changes } = this.#db.sql
        .prepare("UPDATE cells SET state = @to WHERE id = @cellId AND state = @from")
        .run({ cellId, from: step.from, to: step.to });
      if (changes !== 1)
        throw new LazarusError("internal", `moving cell ${cellId}: it is no longer ${step.from}`);
      this.remember(cellId, { at: this.#clock.now(), ...step });
    });
  }

  /** Writes down what happened; where it moved nothing `from` and `to` are the same. */
  remember(cellId: string, row: HistoryRow): void {
    this.#db.sql
      .prepare(
        'INSERT INTO history (cell, at, "from", "to", who, why) VALUES (@cellId, @at, @from, @to, @who, @why)',
      )
      .run({ cellId, ...row });
  }

  update(cellId: string, change: CellChange): void {
    changeRow(this.#db, "cells", rowOfCellChange(change), { id: cellId });
  }

  updateRun(cellId: string, n: number, change: RunChange): void {
    changeRow(this.#db, "runs", rowOfRunChange(change), { cell: cellId, n });
  }

  cell(id: string): Cell | null {
    const row = this.#db.sql.prepare("SELECT * FROM cells WHERE id = @id").get({ id });
    return row === undefined ? null : cellFromRow(row);
  }

  /** @throws LazarusError `not-found` */
  mustCell(id: string): Cell {
    const cell = this.cell(id);
    if (cell === null) throw new LazarusError("not-found", `no cell ${id} in the registry`);
    return cell;
  }

  /** @throws LazarusError `not-found` */
  mustRun(cellId: string, n: number): Run {
    const run = this.run(cellId, n);
    if (run === null) throw new LazarusError("not-found", `cell ${cellId} has no run ${n}`);
    return run;
  }

  /** Cells whose id begins with `prefix` (4 characters or more). */
  withPrefix(prefix: string): Cell[] {
    if (!/^[0-9a-f-]{4,36}$/i.test(prefix)) return [];
    // A range: an index answers it, `LIKE` would read every row. No digit comes after `g`.
    const from = prefix.toLowerCase();
    return this.#db.sql
      .prepare("SELECT * FROM cells WHERE id >= @from AND id < @to ORDER BY seq")
      .all({ from, to: `${from}g` })
      .map(cellFromRow);
  }

  ofThread(repositoryId: number, number: number): Cell[] {
    return this.#db.sql
      .prepare("SELECT * FROM cells WHERE repository = @repositoryId AND number = @number ORDER BY seq")
      .all({ repositoryId, number })
      .map(cellFromRow);
  }

  /** Cells whose own draft is this pull request, whichever repository they work on. */
  ofPullRequest(repository: RepositoryRef, number: number): Cell[] {
    return this.#db.sql
      .prepare("SELECT * FROM cells WHERE pull_request = @number ORDER BY seq")
      .all({ number })
      .map(cellFromRow)
      .filter((cell) => isIn(cell, repository));
  }

  /** Cells by state, oldest first; all but destroyed ones when none is named. */
  list(states?: readonly State[]): Cell[] {
    const wanted = states ?? ["proposed", "active", "idle", "closing", "archived"];
    // The index is of these alone, and is used only where that is said.
    const indexed = wanted.includes("destroyed") ? "" : "state <> 'destroyed' AND";
    return this.#db.sql
      .prepare(
        `SELECT * FROM cells WHERE ${indexed} state IN (SELECT value FROM json_each(@wanted)) ORDER BY seq`,
      )
      .all({ wanted: JSON.stringify(wanted) })
      .map(cellFromRow);
  }

  /** The next `limit` cells after that row (0: the first ones): all at once are too many to be held. */
  standing(of: StandingOf, after: number, limit: number): DirectoryStanding[] {
    return this.#db.sql
      .prepare(standingSql(of))
      .all({ ...of, after, limit })
      .map(standingFromRow);
  }

  isBranchTaken(repositoryId: number, branch: string): boolean {
    return (
      this.#db.sql
        .prepare("SELECT 1 FROM cells WHERE repository = @repositoryId AND branch = @branch")
        .get({ repositoryId, branch }) !== undefined
    );
  }

  /** Its agents, then the people who are its guests now. */
  members(cellId: string): Member[] {
    const bots = this.#db.sql.prepare(MEMBERS).all({ cellId }) as Member[];
    return [...bots, ...membersOf(this.guests.of(cellId), this.#clock.now())];
  }

  history(cellId: string): HistoryRow[] {
    return this.#db.sql
      .prepare("SELECT * FROM history WHERE cell = @cellId ORDER BY seq")
      .all({ cellId })
      .map(historyFromRow);
  }

  /** Adds the next run of a cell, with what it is asked, and answers its number. */
  addRun(run: NewRun): number {
    return this.transaction(() => {
      const last = this.lastRun(run.cellId);
      const n = (last?.n ?? 0) + 1;
      const createdAt = this.#clock.now();
      addRow(this.#db, "runs", rowOfNewRun(run, { n, last, createdAt }));
      this.prompts.add({ cellId: run.cellId, n }, run.prompt ?? briefPrompt(run.requester), createdAt);
      return n;
    });
  }

  run(cellId: string, n: number): Run | null {
    const query = "SELECT * FROM runs WHERE cell = @cellId AND n = @n";
    return this.#db.sql.prepare(query).all({ cellId, n }).map(runFromRow)[0] ?? null;
  }

  runs(cellId: string): Run[] {
    return this.#db.sql
      .prepare("SELECT * FROM runs WHERE cell = @cellId ORDER BY n")
      .all({ cellId })
      .map(runFromRow);
  }

  lastRun(cellId: string): Run | null {
    const query = "SELECT * FROM runs WHERE cell = @cellId ORDER BY n DESC LIMIT 1";
    return this.#db.sql.prepare(query).all({ cellId }).map(runFromRow)[0] ?? null;
  }

  /** The last run that worked: no observer's, no retry yet to come, none withdrawn before it began. */
  lastKeptRun(cellId: string): Run | null {
    return this.#db.sql.prepare(LAST_KEPT).all({ cellId }).map(runFromRow)[0] ?? null;
  }

  /** The last run but those that were taken out of the line. */
  lastUnwithdrawnRun(cellId: string): Run | null {
    const query = "SELECT * FROM runs WHERE cell = @cellId AND state <> 'withdrawn' ORDER BY n DESC LIMIT 1";
    return this.#db.sql.prepare(query).all({ cellId }).map(runFromRow)[0] ?? null;
  }

  /** Whether a run that waits for its time has come to it after `since` and until `now` (epoch ms). */
  hasDueRun(since: number, now: number): boolean {
    const due = `SELECT 1 FROM runs WHERE ${OPEN} AND state = 'waiting' AND not_before > @since AND not_before <= @now`;
    return this.#db.sql.prepare(due).get({ since, now }) !== undefined;
  }

  /** Runs in one of the open states, in the order in which they were asked for. */
  openRuns(states: readonly ("waiting" | "admitted" | "running")[]): Run[] {
    return this.#db.sql
      .prepare(
        `SELECT * FROM runs WHERE ${OPEN} AND state IN (SELECT value FROM json_each(@states)) ORDER BY seq`,
      )
      .all({ states: JSON.stringify(states) })
      .map(runFromRow);
  }

  /** A small text kept under a name, such as the hash of what was last written somewhere. */
  rememberText(name: string, value: string): void {
    this.#db.sql
      .prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (@name, @value)")
      .run({ name, value });
  }

  rememberedText(name: string): string | null {
    const value = this.#db.sql.prepare("SELECT value FROM facts WHERE name = @name").pluck().get({ name });
    return (value as string | undefined) ?? null;
  }
}

/** As the index of open runs has it: a query must say the same to be answered by it. */
const OPEN = "state IN ('waiting','admitted','running')";
