import * as z from "zod";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Db } from "../../store/db.ts";
import type { Member, Requester } from "../cell.ts";
import { type NewCell, rowOfReplan } from "./cell-row.ts";
import { changeRow } from "./rows.ts";
import { createTeam } from "./team.ts";

/** What is in the way of a proposal: of a field of its form, or of all of it (`field` null). */
export const mistake = z.object({ field: z.string().nullable(), text: z.string() });
/** `text` is Markdown that is fit to be posted. */
export type Mistake = z.infer<typeof mistake>;

/** What a proposal asks for, besides what its cell's own columns say. */
export const wish = z.object({
  /** Counted from the approval. */
  ttlMs: z.number(),
  /** Names of checks; null: all that there are. */
  checks: z.array(z.string()).nullable(),
  /** Patterns of paths that wait for a director, whoever changed them. */
  untouched: z.array(z.string()),
});
export type Wish = z.infer<typeof wish>;

/**
 * `faulty`: something is in the way; `queued`: its author has enough that wait; `planned`: its cell is
 * written down, and says whether it waits for approval; `closed`: taken back by its author, or the issue is
 * gone.
 */
const STATES = ["faulty", "queued", "planned", "closed"] as const;

/** An issue that was filed with the form. */
export interface Proposal {
  readonly repository: RepositoryRef;
  readonly number: number;
  readonly author: { readonly id: number; readonly login: string };
  /** The id that its cell has, or is to have. */
  readonly cellId: string;
  readonly state: (typeof STATES)[number];
  /** `issueHash` of what was read of it last. */
  readonly readSha256: string;
  readonly mistakes: readonly Mistake[];
  /** Of the plan; null before there was one. */
  readonly wish: Wish | null;
  /** The bot's comment on it, which becomes the card. */
  readonly commentId: number | null;
  /** How many comments of people stand below it. */
  readonly comments: number;
  /** The brief that its card shows, and since when by the forge's clock (epoch ms). */
  readonly shownSha256: string | null;
  readonly shownAt: number | null;
  /** When it was seen that its text is not what was approved (epoch ms). */
  readonly editedAt: number | null;
  /** Who let it start. */
  readonly approver: Requester | null;
  readonly createdAt: number;
}

export type ProposalChange = Partial<
  Pick<
    Proposal,
    | "state"
    | "cellId"
    | "readSha256"
    | "mistakes"
    | "wish"
    | "commentId"
    | "comments"
    | "shownSha256"
    | "shownAt"
    | "editedAt"
    | "approver"
  >
>;

/** Which columns of a cell a plan may write anew, while nothing of it was made. */
export type Replan = Pick<
  NewCell,
  | "title"
  | "agent"
  | "approval"
  | "waitsForApproval"
  | "baseName"
  | "baseRef"
  | "baseCommit"
  | "mergeInto"
  | "brief"
  | "briefSha256"
  | "expiresAt"
>;

/** The proposals of all repositories. All methods are synchronous and join the caller's transaction. */
export interface Proposals {
  of(repositoryId: number, number: number): Proposal | null;
  ofCell(cellId: string): Proposal | null;
  add(proposal: Pick<Proposal, "repository" | "number" | "author" | "cellId" | "createdAt">): void;
  change(proposal: Pick<Proposal, "repository" | "number">, change: ProposalChange): void;
  /** How many of an author wait for a decision, besides this one. */
  waitingOf(authorId: number, besides: string): number;
  /** The oldest of an author that is to be planned as soon as another one is decided. */
  firstQueued(authorId: number): Proposal | null;
  /** Those that nobody has decided about, the one that was looked at longest ago first. */
  undecided(limit: number): Proposal[];
  lookedAt(proposal: Pick<Proposal, "repository" | "number">, at: number): void;
  /**
   * Writes the plan of a cell anew, with those who are to work in it, one after the other. Whom a director
   * invited stays, and works after them.
   */
  replan(cellId: string, plan: Replan, members: readonly Member[]): void;
  /** What is approved together with comments is what is run. */
  rebrief(cellId: string, brief: { readonly text: string; readonly sha256: string }): void;
  /** A run that waits is another agent's now, asked for by somebody else, with the brief as it stands. */
  reassign(cellId: string, n: number, to: { readonly agent: string; readonly requester: Requester }): void;
}

/** Those who only look were invited, and stay. */
const FORGET_MEMBERS = `
  DELETE FROM members WHERE cell = @cellId AND role <> 'observer' AND name NOT IN (SELECT value FROM json_each(@named))`;
const PUT_MEMBER = `
  INSERT INTO members (cell, name, kind, role) VALUES (@cellId, @name, @kind, @role)
  ON CONFLICT DO UPDATE SET role = @role`;

const row = z.object({
  repository: z.number(),
  full_name: z.string(),
  number: z.number(),
  author_id: z.number(),
  author_login: z.string(),
  cell: z.string(),
  state: z.enum(STATES),
  read_sha256: z.string(),
  mistakes: z.string(),
  wish: z.string().nullable(),
  comment: z.number().nullable(),
  comments: z.number(),
  shown_sha256: z.string().nullable(),
  shown_at: z.number().nullable(),
  edited_at: z.number().nullable(),
  approver_id: z.number().nullable(),
  approver_login: z.string().nullable(),
  created_at: z.number(),
});

export function createProposals(db: Pick<Db, "sql">): Proposals {
  const { sql } = db;
  const one = (query: string, bound: object) => {
    const found = sql.prepare(query).get(bound);
    return found === undefined ? null : fromRow(found);
  };
  return {
    of: (repositoryId, number) =>
      one("SELECT * FROM proposals WHERE repository = @repositoryId AND number = @number", {
        repositoryId,
        number,
      }),
    ofCell: (cellId) => one("SELECT * FROM proposals WHERE cell = @cellId", { cellId }),
    add({ repository, number, author, cellId, createdAt }) {
      const bound = { repository: repository.id, fullName: repository.fullName, number, cellId, createdAt };
      sql.prepare(INSERT).run({ ...bound, authorId: author.id, authorLogin: author.login });
    },
    change({ repository, number }, change) {
      const columns = columnsOf(change);
      const set = Object.keys(columns).map((name) => `${name} = @${name}`);
      if (set.length === 0) return;
      sql
        .prepare(
          `UPDATE proposals SET ${set.join(", ")} WHERE repository = @at_repository AND number = @at_number`,
        )
        .run({ ...columns, at_repository: repository.id, at_number: number });
    },
    waitingOf(authorId, besides) {
      const found = sql.prepare(WAITING).get({ authorId, besides }) as { count: number };
      return found.count;
    },
    firstQueued: (authorId) => one(QUEUED, { authorId }),
    undecided: (limit) => sql.prepare(UNDECIDED).all({ limit }).map(fromRow),
    lookedAt({ repository, number }, at) {
      sql
        .prepare("UPDATE proposals SET looked_at = @at WHERE repository = @repository AND number = @number")
        .run({ repository: repository.id, number, at });
    },
    replan(cellId, plan, members) {
      changeRow(db, "cells", rowOfReplan(plan), { id: cellId, state: "proposed" });
      const isNamed = (agent: string) => members.some(({ name }) => name === agent);
      const invited = createTeam(db)
        .of(cellId)
        .flatMap(({ agent, by }) => (by === null || isNamed(agent) ? [] : [{ agent, by }]));
      const named = JSON.stringify([
        ...members.map(({ name }) => name),
        ...invited.map(({ agent }) => agent),
      ]);
      sql.prepare(FORGET_MEMBERS).run({ cellId, named });
      sql.prepare("DELETE FROM team WHERE cell = @cellId").run({ cellId });
      for (const [index, { name, kind, role }] of members.entries()) {
        sql.prepare(PUT_MEMBER).run({ cellId, name, kind, role });
        if (index > 0)
          sql
            .prepare("INSERT INTO team (cell, place, agent) VALUES (@cellId, @place, @name)")
            .run({ cellId, place: index + 1, name });
      }
      for (const { agent, by } of invited) createTeam(db).append(cellId, agent, by);
    },
    rebrief(cellId, { text, sha256 }) {
      sql
        .prepare(
          "UPDATE cells SET brief = @text, brief_sha256 = @sha256 WHERE id = @cellId AND state = 'proposed'",
        )
        .run({ cellId, text, sha256 });
    },
    reassign(cellId, n, { agent, requester }) {
      const bound = { cellId, n, agent, id: requester.id, login: requester.login };
      sql.prepare(REASSIGN).run(bound);
      sql.prepare(REBRIEF).run({ cellId, n, id: requester.id, login: requester.login });
    },
  };
}

function columnsOf(change: ProposalChange): Record<string, unknown> {
  const { approver, mistakes, wish: asked, ...plain } = change;
  const names: Readonly<Record<string, string>> = { cellId: "cell", commentId: "comment" };
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return {
    ...Object.fromEntries(
      Object.entries(plain)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [names[key] ?? snake(key), value]),
    ),
    ...(mistakes === undefined ? {} : { mistakes: JSON.stringify(mistakes) }),
    ...(asked === undefined ? {} : { wish: asked === null ? null : JSON.stringify(asked) }),
    ...(approver === undefined
      ? {}
      : { approver_id: approver?.id ?? null, approver_login: approver?.login ?? null }),
  };
}

function fromRow(found: unknown): Proposal {
  const r = row.parse(found);
  return {
    repository: { id: r.repository, fullName: r.full_name },
    number: r.number,
    author: { id: r.author_id, login: r.author_login },
    cellId: r.cell,
    state: r.state,
    readSha256: r.read_sha256,
    mistakes: z.array(mistake).parse(JSON.parse(r.mistakes)),
    wish: r.wish === null ? null : wish.parse(JSON.parse(r.wish)),
    commentId: r.comment,
    comments: r.comments,
    shownSha256: r.shown_sha256,
    shownAt: r.shown_at,
    editedAt: r.edited_at,
    approver: r.approver_login === null ? null : { id: r.approver_id, login: r.approver_login },
    createdAt: r.created_at,
  };
}

const INSERT = `
  INSERT INTO proposals (repository, full_name, number, author_id, author_login, cell, created_at)
  VALUES (@repository, @fullName, @number, @authorId, @authorLogin, @cellId, @createdAt)`;
const WAITING = `
  SELECT count(*) AS count FROM proposals JOIN cells ON cells.id = proposals.cell
  WHERE author_id = @authorId AND cells.state = 'proposed' AND cells.waits_for_approval = 1
  AND proposals.cell <> @besides`;
const QUEUED = `
  SELECT * FROM proposals WHERE author_id = @authorId AND state = 'queued'
  ORDER BY created_at, repository, number LIMIT 1`;
const UNDECIDED = `
  SELECT proposals.* FROM proposals LEFT JOIN cells ON cells.id = proposals.cell
  WHERE proposals.state <> 'closed'
  AND (cells.id IS NULL OR (cells.state = 'proposed' AND cells.waits_for_approval = 1))
  ORDER BY looked_at LIMIT @limit`;
const REASSIGN = `
  UPDATE runs SET agent = @agent, requester_id = @id, requester_login = @login
  WHERE cell = @cellId AND n = @n AND state = 'waiting'`;
/** The cell's own row holds the brief and its hash. */
const REBRIEF = `
  UPDATE prompts SET from_id = @id, from_login = @login,
    sha256 = (SELECT brief_sha256 FROM cells WHERE cells.id = prompts.cell)
  WHERE cell = @cellId AND run = @n AND kind = 'brief' AND given_sha256 IS NULL`;
