import * as z from "zod";
import { forgeAsker } from "../../protocol/asker.ts";
import { agentBeat, fork, givenSecret, harvest } from "../../protocol/shapes.ts";
import { cardShown } from "../card-shown.ts";
import { type Cell, HEALTHS, OUTCOMES, STATES } from "../cell.ts";
import { checked } from "../check.ts";
import { reasonOf } from "../reason.ts";
import { stored } from "../stored-seal.ts";
import { fixed, flag, int, json, type KeysOf, later, maybe, oneOf, open, table, text } from "./columns.ts";

const closing = z.object({
  by: z.string(),
  discard: z.boolean(),
  thenDestroy: z.boolean(),
  outcome: z.enum(OUTCOMES).nullable(),
  person: z.string().nullable(),
  isApproved: z.boolean().optional(),
  isToMerge: z.boolean().optional(),
});
const stuck = z.object({ job: z.string(), why: z.string(), isOver: z.boolean() });
const logCut = z.object({ run: z.number(), bytes: z.number() });

/**
 * Each column of `cells`: what a `Cell` is read from, and all that can be written of it. A new one is a line
 * here, one in `Cell` and a migration.
 */
const CELLS = table(
  {
    id: fixed(text),
    /** Moved by `registry.move` alone. */
    state: fixed(oneOf(STATES)),
    repositoryId: fixed(int),
    fullName: fixed(text),
    number: fixed(int),
    isPullRequest: fixed(flag),
    title: fixed(text),
    issueUrl: fixed(text),
    requesterId: fixed(maybe(int)),
    requesterLogin: fixed(text),
    askedInComment: fixed(maybe(int)),
    asked: fixed(maybe(json(forgeAsker))),
    agent: fixed(text),
    baseName: fixed(text),
    baseRef: fixed(text),
    baseCommit: fixed(text),
    rules: fixed(maybe(json(z.object({ ref: z.string(), commit: z.string() })))),
    fork: fixed(maybe(json(fork))),
    branch: fixed(text),
    delivery: fixed(oneOf(["draft", "branch"])),
    mergeInto: fixed(json(z.object({ repository: z.string(), branch: z.string() }))),
    brief: fixed(text),
    briefSha256: fixed(text),
    createdAt: fixed(int),
    expiresAt: open(int),
    waitsForApproval: open(flag),
    approval: open(maybe(text)),
    outcome: later(maybe(oneOf(OUTCOMES))),
    notStarted: later(maybe(text)),
    stuck: later(maybe(json(stuck))),
    notClosed: later(maybe(text)),
    directoryTrouble: later(maybe(text)),
    repositoryTrouble: later(maybe(text)),
    divertedFrom: later(maybe(text)),
    logCut: later(maybe(json(logCut))),
    cardId: later(maybe(int)),
    cardShown: later(maybe(json(cardShown))),
    pullRequest: later(maybe(int)),
    pullRequestRepository: later(maybe(text)),
    publishedBranch: later(maybe(text)),
    publishedTip: later(maybe(text)),
    peopleTip: later(maybe(text)),
    harvest: later(maybe(json(harvest))),
    pushRefused: later(maybe(text)),
    releasedTip: later(maybe(text)),
    releasedBy: later(maybe(text)),
    releasedSecrets: later(maybe(json(z.array(givenSecret).readonly()))),
    closing: later(maybe(json(closing))),
    sealedAt: later(maybe(int)),
    health: later(maybe(oneOf(HEALTHS))),
    healthReason: later(maybe(text)),
    healthSince: later(maybe(int)),
    seenAt: later(maybe(int)),
    beat: later(maybe(json(agentBeat))),
    breaker: later(maybe(text)),
    ttlWarnedFor: later(maybe(int)),
    keepUntil: later(maybe(int)),
    setUpWith: later(maybe(text)),
    checked: later(maybe(json(checked))),
    runner: later(text),
    runnerTrouble: later(maybe(text)),
    stored: later(maybe(json(stored))),
    moreUsd: later(int),
    moreTokens: later(int),
    turnsFrom: later(int),
  },
  { repositoryId: "repository" },
);
type Columns = (typeof CELLS)["columns"];

/** A row of `cells` as a Cell; throws where the file was tampered with. */
export function cellFromRow(row: unknown): Cell {
  const { repositoryId, fullName, requesterId, requesterLogin, ...rest } = CELLS.read(row);
  return {
    ...rest,
    repository: { id: repositoryId, fullName },
    requester: { id: requesterId, login: requesterLogin },
    reason: reasonOf(rest),
  };
}

/** A cell as it is made: what only happens to it later is empty. */
export type NewCell = Omit<Cell, KeysOf<Columns, "later"> | "state" | "reason">;

/** The columns of a new cell, besides its `seq`. */
export function rowOfNewCell({ repository, requester, ...rest }: NewCell): Record<string, unknown> {
  return CELLS.write({
    ...rest,
    ...{ repositoryId: repository.id, fullName: repository.fullName },
    ...{ requesterId: requester.id, requesterLogin: requester.login },
    state: "proposed",
  });
}

/** What may be written about a cell besides its state, which only `move` writes. */
export type CellChange = Partial<Pick<Cell, KeysOf<Columns, "open" | "later">>>;

/** The columns that a change writes. */
export function rowOfCellChange(change: CellChange): Record<string, unknown> {
  return CELLS.write(change);
}

/** The columns that a plan writes anew before anything of its cell was made. */
export function rowOfReplan(plan: Partial<NewCell>): Record<string, unknown> {
  const { repository: _, requester: __, ...own } = plan;
  return CELLS.write(own);
}

/** As much of a cell as tells how its directory must be. */
export type DirectoryStanding = Pick<
  Cell,
  "id" | "state" | "directoryTrouble" | "sealedAt" | "closing" | "stored"
> & {
  readonly row: number;
};

/** Which cells are meant. */
export interface StandingOf {
  readonly state: Exclude<Cell["state"], "destroyed">;
  readonly runner: string;
}

const { id, state, directoryTrouble, sealedAt } = CELLS.columns;
const STANDINGS = table({
  ...{ id, state, directoryTrouble, sealedAt },
  ...{ closing: CELLS.columns.closing, stored: CELLS.columns.stored },
  row: fixed(int),
});

/** A page of them: those of a runner elsewhere are found by its name, among however many of others. */
export function standingSql({ runner }: StandingOf): string {
  // SQLite uses the index cells_elsewhere only where the statement says this.
  const elsewhere = runner === "local" ? "" : "AND runner <> 'local'";
  return `
  SELECT rowid AS row, id, state, directory_trouble, sealed_at, closing, stored FROM cells
  WHERE state <> 'destroyed' AND state = @state AND runner = @runner ${elsewhere} AND rowid > @after
  ORDER BY rowid LIMIT @limit`;
}

/** A row of it. */
export function standingFromRow(row: unknown): DirectoryStanding {
  return STANDINGS.read(row);
}
