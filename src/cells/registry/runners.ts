import { LazarusError } from "../../errors.ts";
import {
  type RunnerFacts,
  type RunnerStanding,
  runnerFacts,
  runnerStanding,
} from "../../protocol/runner-facts.ts";
import type { Db } from "../../store/db.ts";
import { fixed, flag, int, json, later, maybe, open, remembered, table, text } from "./columns.ts";
import { changeRow } from "./rows.ts";

const RUNNERS = table({
  name: fixed(text),
  generation: open(int),
  createdAt: fixed(int),
  rotatedAt: later(maybe(int)),
  draining: later(flag),
  forgottenAt: later(maybe(int)),
  incarnation: later(maybe(text)),
  facts: later(maybe(remembered(json(runnerFacts)))),
  standing: later(maybe(remembered(json(runnerStanding)))),
  heardAt: later(maybe(int)),
  trouble: later(maybe(text)),
});

/** A runner on another host, as it was when it was heard last. Times are epoch ms. */
export interface RunnerRow {
  readonly name: string;
  /** Of its key: the one before holds for an hour after `rotatedAt`. */
  readonly generation: number;
  readonly createdAt: number;
  readonly rotatedAt: number | null;
  /** It gets no new cells. */
  readonly draining: boolean;
  /** A person gave it up; its name may be given again. */
  readonly forgottenAt: number | null;
  readonly incarnation: string | null;
  /** Null: it never joined. */
  readonly facts: RunnerFacts | null;
  readonly standing: RunnerStanding | null;
  readonly heardAt: number | null;
  /** Why it cannot be heard, or gets no new cells; null: it is well. */
  readonly trouble: string | null;
}

type Change = Partial<Omit<RunnerRow, "name" | "createdAt">>;

/** A run that is admitted or running. */
export interface RunAtWork {
  readonly cellId: string;
  readonly n: number;
  readonly state: string;
}

/** The runners on other hosts. All methods are synchronous and join the caller's transaction. */
export interface Runners {
  /** Those that were not forgotten, by name. */
  list(): RunnerRow[];
  one(name: string): RunnerRow | null;
  /**
   * A new one, or one that was forgotten: its key is another then. @throws LazarusError `usage` where it is
   * there.
   */
  add(name: string, now: number): RunnerRow;
  update(name: string, change: Change): void;
  /** Ids of the cells that lie on it and are not destroyed. */
  cellsOf(name: string): string[];
  /** Those of them on whose card another trouble of the runner stands, or none. */
  notTold(name: string, trouble: string | null): string[];
  /** Runs that are admitted or running, by where their cells lie. */
  atWork(): ReadonlyMap<string, readonly RunAtWork[]>;
  /** Those of one runner, without a look at any other's cells. */
  atWorkOn(name: string): readonly RunAtWork[];
  /** Ids of archived cells that lie on a runner, and whose seal is not kept in that place. */
  notKeptIn(place: string, most: number): string[];
}

export function createRunners(db: Db): Runners {
  const read = (row: unknown): RunnerRow => RUNNERS.read(row);
  const one = (name: string): RunnerRow | null => {
    const row = db.sql.prepare("SELECT * FROM runners WHERE name = @name").get({ name });
    return row === undefined ? null : read(row);
  };
  return {
    one,
    list: () =>
      db.sql.prepare("SELECT * FROM runners WHERE forgotten_at IS NULL ORDER BY name").all().map(read),
    add(name, now) {
      const known = one(name);
      if (known !== null && known.forgottenAt === null)
        throw new LazarusError(
          "usage",
          `there is a runner ${name} already: lazarus runner rotate ${name} gives it another key`,
        );
      const generation = (known?.generation ?? 0) + 1;
      db.sql.prepare("DELETE FROM runners WHERE name = @name").run({ name });
      db.sql
        .prepare("INSERT INTO runners (name, generation, created_at) VALUES (@name, @generation, @now)")
        .run({ name, generation, now });
      return read(db.sql.prepare("SELECT * FROM runners WHERE name = @name").get({ name }));
    },
    update: (name, change) => changeRow(db, "runners", RUNNERS.write(change), { name }),
    cellsOf: (name) => db.sql.prepare(CELLS_OF).pluck().all({ name }) as string[],
    notTold: (name, trouble) => db.sql.prepare(NOT_TOLD).pluck().all({ name, trouble }) as string[],
    atWork() {
      const found = new Map<string, RunAtWork[]>();
      for (const row of db.sql.prepare(AT_WORK).all() as (RunAtWork & { readonly runner: string })[]) {
        const ofRunner = found.get(row.runner);
        if (ofRunner === undefined) found.set(row.runner, [row]);
        else ofRunner.push(row);
      }
      return found;
    },
    atWorkOn: (name) => db.sql.prepare(AT_WORK_ON).all({ name }) as RunAtWork[],
    notKeptIn: (place, most) => db.sql.prepare(NOT_KEPT).pluck().all({ place, most }) as string[],
  };
}

const NOT_KEPT = `
  SELECT id FROM cells WHERE state = 'archived' AND sealed_at IS NOT NULL AND closing IS NULL
  AND (stored IS NULL OR (json_extract(stored, '$.place') <> @place AND NOT json_extract(stored, '$.isOnly')))
  ORDER BY seq LIMIT @most`;

/** Said so that its index serves: a registry may hold a million cells. */
const ON_IT = "cells.runner = @name AND cells.runner <> 'local' AND cells.state <> 'destroyed'";

const CELLS_OF = `SELECT id FROM cells WHERE ${ON_IT} ORDER BY seq`;

const NOT_TOLD = `SELECT id FROM cells WHERE ${ON_IT} AND runner_trouble IS NOT @trouble ORDER BY seq`;

const AT_WORK_ON = `
  SELECT runs.cell AS cellId, runs.n AS n, runs.state AS state FROM cells JOIN runs ON runs.cell = cells.id
  WHERE ${ON_IT} AND runs.state IN ('admitted','running') ORDER BY runs.seq`;

const AT_WORK = `
  SELECT cells.runner AS runner, runs.cell AS cellId, runs.n AS n, runs.state AS state
  FROM runs JOIN cells ON cells.id = runs.cell
  WHERE runs.state IN ('waiting','admitted','running') AND runs.state <> 'waiting' ORDER BY runs.seq`;
