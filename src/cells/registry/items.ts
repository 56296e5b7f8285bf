import { type PointAnswer, VERDICTS } from "../../protocol/points.ts";
import type { Db } from "../../store/db.ts";
import { fixed, flag, int, later, maybe, oneOf, open, table, text } from "./columns.ts";

export const ITEM_KINDS = ["body", "inline", "remark"] as const;
export const ITEM_STATES = ["open", "given", "answered", "withdrawn"] as const;

/**
 * A numbered point of a review. `body`: a part of what the review says as a whole; `inline`: at a line;
 * `remark`: said without asking for changes, so that it needs no answer. `open`: for the next turn; `given`:
 * its turn is not over; `answered`: the agent said what it made of it; `withdrawn`: taken back before that.
 */
export interface Item {
  readonly cellId: string;
  /** Counts up in its cell. */
  readonly n: number;
  readonly kind: (typeof ITEM_KINDS)[number];
  /** The cell's own draft, in its own repository. */
  readonly pull: number;
  readonly reviewId: number;
  /** What bears reactions to it: the comment at its line, else that of the review; 0: nothing does. */
  readonly commentId: number;
  /** Counts up in its comment. */
  readonly part: number;
  readonly author: { readonly id: number; readonly login: string };
  /** Text of a person, never opened; empty where it stands at no line. */
  readonly path: string;
  /** In the new file, or in the old one; both 0 where it stands at none. */
  readonly line: number;
  readonly oldLine: number;
  /** What was looked at; empty where the forge did not say. */
  readonly commit: string;
  readonly hunk: string;
  /** The words, cleaned. */
  readonly said: string;
  readonly isEdited: boolean;
  /** When it was read, epoch ms. */
  readonly at: number;
  readonly state: (typeof ITEM_STATES)[number];
  /** The turn that it was given to last. */
  readonly turn: number | null;
  readonly verdict: PointAnswer["verdict"];
  readonly words: string;
  readonly foundCommit: string | null;
  readonly touches: boolean | null;
  readonly nowLine: number | null;
  /** The answer of its turn, or that there is none, is to be posted. */
  readonly isAnswerDue: boolean;
  /** Why it was withdrawn. */
  readonly why: string | null;
}

export type NewItem = Pick<
  Item,
  | "kind"
  | "pull"
  | "reviewId"
  | "commentId"
  | "part"
  | "author"
  | "path"
  | "line"
  | "oldLine"
  | "commit"
  | "hunk"
  | "said"
  | "at"
>;

/** The items of all cells. All methods are synchronous and join the caller's transaction. */
export interface Items {
  /** Answers how many are new: what was read once is one item, however often it is added. */
  add(cellId: string, items: readonly NewItem[]): number;
  /** Those of a cell, by their numbers. */
  of(cellId: string): Item[];
  /** Those that wait to be given. */
  open(cellId: string): Item[];
  /** Those that were given to a turn last. */
  ofTurn(cellId: string, turn: number): Item[];
  /** Puts those into a turn's prompt that are open, or were given to a turn that came to nothing. */
  give(cellId: string, items: readonly number[], turn: number): void;
  /** Writes down what was found of one that was given. */
  found(cellId: string, answer: PointAnswer): void;
  /**
   * Its turn is over: what has a verdict is answered, and a remark that was `isHeard`; all else is open
   * again. `isTold`: that is to be posted.
   */
  settle(cellId: string, turn: number, how: { readonly isHeard: boolean; readonly isTold: boolean }): void;
  /** The turns whose answers are to be posted, oldest first. */
  due(cellId: string): number[];
  posted(cellId: string, turn: number): void;
  /** Its text as it is now; only before it is given. */
  reword(cellId: string, n: number, said: string): void;
  withdraw(cellId: string, n: number, why: string): void;
}

const ITEMS = table(
  {
    cellId: fixed(text),
    n: fixed(int),
    kind: fixed(oneOf(ITEM_KINDS)),
    pull: fixed(int),
    reviewId: fixed(int),
    commentId: fixed(int),
    part: fixed(int),
    authorId: fixed(int),
    authorLogin: fixed(text),
    path: fixed(text),
    line: fixed(int),
    oldLine: fixed(int),
    commit: fixed(text),
    hunk: fixed(text),
    said: open(text),
    isEdited: later(flag),
    at: fixed(int),
    state: later(oneOf(ITEM_STATES)),
    turn: later(maybe(int)),
    verdict: later(maybe(oneOf(VERDICTS))),
    words: later(text),
    foundCommit: later(maybe(text)),
    touches: later(maybe(flag)),
    nowLine: later(maybe(int)),
    isAnswerDue: later(flag),
    why: later(maybe(text)),
  },
  {
    ...{ cellId: "cell", reviewId: "review", commentId: "comment" },
    ...{ commit: "commit_sha", isEdited: "edited", isAnswerDue: "answer_due" },
  },
);

/** Items in the table of that name. */
export function createItems({ sql }: Pick<Db, "sql">): Items {
  const all = (query: string, bound: object) => sql.prepare(query).all(bound).map(fromRow);
  return {
    add(cellId, items) {
      let added = 0;
      for (const item of items) {
        const { author, ...rest } = item;
        const bound = { cellId, ...rest, authorId: author.id, authorLogin: author.login };
        added += sql.prepare(INSERT).run(bound).changes;
      }
      return added;
    },
    of: (cellId) => all("SELECT * FROM items WHERE cell = @cellId ORDER BY n", { cellId }),
    open: (cellId) =>
      all("SELECT * FROM items WHERE cell = @cellId AND state = 'open' ORDER BY n", { cellId }),
    ofTurn: (cellId, turn) =>
      all("SELECT * FROM items WHERE cell = @cellId AND turn = @turn ORDER BY n", { cellId, turn }),
    give(cellId, items, turn) {
      for (const n of items) sql.prepare(GIVE).run({ cellId, n, turn });
    },
    found(cellId, { n, verdict, words, commit, touches, line }) {
      const bound = { cellId, n, verdict, words, commit, line };
      sql.prepare(FOUND).run({ ...bound, touches: touches === null ? null : Number(touches) });
    },
    settle(cellId, turn, { isHeard, isTold }) {
      sql.prepare(SETTLE).run({ cellId, turn, isHeard: Number(isHeard), isTold: Number(isTold) });
    },
    due(cellId) {
      const rows = sql.prepare(DUE).all({ cellId }) as { turn: number }[];
      return rows.map((one) => one.turn);
    },
    posted(cellId, turn) {
      sql
        .prepare("UPDATE items SET answer_due = 0 WHERE cell = @cellId AND turn = @turn")
        .run({ cellId, turn });
    },
    reword(cellId, n, said) {
      sql.prepare(REWORD).run({ cellId, n, said });
    },
    withdraw(cellId, n, why) {
      sql.prepare(WITHDRAW).run({ cellId, n, why });
    },
  };
}

function fromRow(row: unknown): Item {
  const { authorId, authorLogin, ...rest } = ITEMS.read(row);
  return { ...rest, author: { id: authorId, login: authorLogin } };
}

const INSERT = `
  INSERT OR IGNORE INTO items (cell, n, kind, pull, review, comment, part, author_id, author_login,
    path, line, old_line, commit_sha, hunk, said, at)
  VALUES (@cellId, (SELECT COALESCE(MAX(n), 0) + 1 FROM items WHERE cell = @cellId), @kind, @pull,
    @reviewId, @commentId, @part, @authorId, @authorLogin, @path, @line, @oldLine, @commit, @hunk, @said, @at)`;
const GIVE = `
  UPDATE items SET state = 'given', turn = @turn, verdict = NULL, words = '', found_commit = NULL, touches = NULL, now_line = NULL
  WHERE cell = @cellId AND n = @n AND (state = 'open' OR (state = 'given' AND turn <> @turn))`;
/** A retry that says nothing more of it takes nothing back. */
const FOUND = `
  UPDATE items SET verdict = @verdict, words = @words, found_commit = @commit, touches = @touches, now_line = @line
  WHERE cell = @cellId AND n = @n AND state = 'given' AND (@verdict IS NOT NULL OR verdict IS NULL)`;
const SETTLE = `
  UPDATE items SET
    state = CASE WHEN verdict IS NOT NULL OR (kind = 'remark' AND @isHeard) THEN 'answered' ELSE 'open' END,
    answer_due = CASE WHEN kind = 'remark' THEN 0 ELSE @isTold END
  WHERE cell = @cellId AND turn = @turn AND state = 'given'`;
const DUE = "SELECT DISTINCT turn FROM items WHERE cell = @cellId AND answer_due = 1 ORDER BY turn";
const REWORD = "UPDATE items SET said = @said, edited = 1 WHERE cell = @cellId AND n = @n AND state = 'open'";
const WITHDRAW =
  "UPDATE items SET state = 'withdrawn', why = @why WHERE cell = @cellId AND n = @n AND state = 'open'";
