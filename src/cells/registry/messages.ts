import * as z from "zod";
import { type Asker, asker } from "../../protocol/asker.ts";
import type { Db } from "../../store/db.ts";
import type { Requester } from "../cell.ts";

export const MESSAGE_STATES = ["waiting", "given", "retracted", "dropped"] as const;

/**
 * What a person tells an agent. `waiting`: for the next turn; `given`: it stands in a prompt; `retracted`: by
 * whoever wrote it; `dropped`: it can never be given, and `why` says the reason.
 */
export interface Message {
  /** Counts up over all cells. */
  readonly id: number;
  readonly cellId: string;
  /** Where it was typed. */
  readonly asker: Asker;
  readonly author: Requester;
  /** Whom it is for; null: whoever works in the cell, or did last. */
  readonly agent: string | null;
  /** The words, cleaned. */
  readonly said: string;
  /** Epoch ms. */
  readonly at: number;
  readonly state: (typeof MESSAGE_STATES)[number];
  /** The run that it was given to. */
  readonly run: number | null;
  readonly why: string | null;
}

export type NewMessage = Pick<Message, "cellId" | "asker" | "author" | "agent" | "said" | "at">;

/** The messages of all cells. All methods are synchronous and join the caller's transaction. */
export interface Messages {
  /** Answers its id. What was typed once is one message, however often it is added. */
  add(message: NewMessage): number;
  /** Those of a cell, in the order in which they were typed. */
  of(cellId: string): Message[];
  /** Those of a cell that wait, oldest first. */
  waiting(cellId: string): Message[];
  /** Those that wait and were typed on a thread of the forge. */
  waitingFrom(repositoryId: number, number: number): Message[];
  /** Those that were typed there and stand in the prompt of a run that is not over; none that was told of. */
  atWorkFrom(repositoryId: number, number: number): Message[];
  give(id: number, run: number): void;
  /** Ends one that waits; one that was given stays given. */
  end(id: number, state: "retracted" | "dropped", why: string): void;
  /** One that was given is taken back: it stays given, and `why` says so. */
  tooLate(id: number, why: string): void;
}

const messageRow = z.object({
  id: z.number(),
  cell: z.string(),
  asker: z.string(),
  author_id: z.number().nullable(),
  author_login: z.string(),
  agent: z.string().nullable(),
  said: z.string(),
  at: z.number(),
  state: z.enum(MESSAGE_STATES),
  run: z.number().nullable(),
  why: z.string().nullable(),
});

/** Messages in the table of that name. */
export function createMessages({ sql }: Pick<Db, "sql">): Messages {
  const all = (query: string, bound: object) => sql.prepare(query).all(bound).map(fromRow);
  return {
    add({ cellId, asker: from, author, agent, said, at }) {
      const source = sourceOf(from);
      const bound = { cellId, source, asker: JSON.stringify(from), agent, said, at };
      sql.prepare(INSERT).run({ ...bound, authorId: author.id, authorLogin: author.login });
      return (sql.prepare("SELECT id FROM messages WHERE source = @source").get({ source }) as { id: number })
        .id;
    },
    of: (cellId) => all("SELECT * FROM messages WHERE cell = @cellId ORDER BY id", { cellId }),
    waiting: (cellId) =>
      all("SELECT * FROM messages WHERE cell = @cellId AND state = 'waiting' ORDER BY id", { cellId }),
    waitingFrom: (repositoryId, number) => all(WAITING_FROM, { repositoryId, number }),
    atWorkFrom: (repositoryId, number) => all(AT_WORK_FROM, { repositoryId, number }),
    give(id, run) {
      sql
        .prepare("UPDATE messages SET state = 'given', run = @run WHERE id = @id AND state = 'waiting'")
        .run({ id, run });
    },
    end(id, state, why) {
      sql
        .prepare("UPDATE messages SET state = @state, why = @why WHERE id = @id AND state = 'waiting'")
        .run({ id, state, why });
    },
    tooLate(id, why) {
      sql.prepare("UPDATE messages SET why = @why WHERE id = @id AND state = 'given'").run({ id, why });
    },
  };
}

/** What tells one typed line from every other. */
function sourceOf(from: Asker): string {
  return from.via !== "forge"
    ? `${from.via}:${from.request}`
    : `forge:${from.repository.id}:${from.source}:${from.sourceId}:${from.index}`;
}

function fromRow(row: unknown): Message {
  const { cell, author_id, author_login, asker: from, ...rest } = messageRow.parse(row);
  const author = { id: author_id, login: author_login };
  return { ...rest, cellId: cell, author, asker: asker.parse(JSON.parse(from)) };
}

const INSERT = `
  INSERT OR IGNORE INTO messages (cell, source, asker, author_id, author_login, agent, said, at)
  VALUES (@cellId, @source, @asker, @authorId, @authorLogin, @agent, @said, @at)`;
const TYPED_AT =
  "json_extract(asker, '$.repository.id') = @repositoryId AND json_extract(asker, '$.number') = @number";
const WAITING_FROM = `SELECT * FROM messages WHERE state = 'waiting' AND ${TYPED_AT} ORDER BY id`;
const AT_WORK_FROM = `
  SELECT messages.* FROM runs JOIN messages ON messages.cell = runs.cell AND messages.run = runs.n
  WHERE runs.state IN ('waiting','admitted','running') AND messages.state = 'given' AND messages.why IS NULL
  AND ${TYPED_AT} ORDER BY id`;
