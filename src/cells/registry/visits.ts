import * as z from "zod";
import type { Db } from "../../store/db.ts";
import type { Requester } from "../cell.ts";

/** An agent that is to look at a cell's work once, as an observer. */
export interface Visit {
  readonly cellId: string;
  /** Counts up in its cell. */
  readonly n: number;
  readonly agent: string;
  readonly by: Requester;
  /** Its run; null: it waits for the present turn to end. */
  readonly run: number | null;
}

/** The visits of all cells. All methods are synchronous and join the caller's transaction. */
export interface Visits {
  add(cellId: string, agent: string, by: Requester): void;
  /** Those that have not begun, in the order in which they were asked for. */
  waiting(cellId: string): Visit[];
  begin(visit: Pick<Visit, "cellId" | "n">, run: number): void;
  /** Those that have not begun never will: all of them, or those of one agent. */
  drop(cellId: string, agent?: string): void;
}

const row = z.object({
  cell: z.string(),
  n: z.number(),
  agent: z.string(),
  by_id: z.number().nullable(),
  by_login: z.string(),
  run: z.number().nullable(),
});

export function createVisits({ sql }: Pick<Db, "sql">): Visits {
  return {
    add(cellId, agent, by) {
      sql.prepare(ADD).run({ cellId, agent, byId: by.id, byLogin: by.login });
    },
    waiting: (cellId) => sql.prepare(WAITING).all({ cellId }).map(fromRow),
    begin({ cellId, n }, run) {
      sql.prepare("UPDATE visits SET run = @run WHERE cell = @cellId AND n = @n").run({ cellId, n, run });
    },
    drop(cellId, agent) {
      sql.prepare(DROP).run({ cellId, agent: agent ?? null });
    },
  };
}

function fromRow(read: unknown): Visit {
  const { cell, by_id, by_login, ...rest } = row.parse(read);
  return { ...rest, cellId: cell, by: { id: by_id, login: by_login } };
}

const ADD = `
  INSERT INTO visits (cell, n, agent, by_id, by_login)
  VALUES (@cellId, (SELECT COALESCE(MAX(n), 0) + 1 FROM visits WHERE cell = @cellId), @agent, @byId, @byLogin)`;
const WAITING = `
  SELECT cell, n, agent, by_id, by_login, run FROM visits
  WHERE cell = @cellId AND run IS NULL AND dropped = 0 ORDER BY n`;
const DROP = `
  UPDATE visits SET dropped = 1
  WHERE cell = @cellId AND run IS NULL AND (@agent IS NULL OR agent = @agent)`;
