import * as z from "zod";
import { type GivenSecret, givenSecret, peoplePush, setupBegun, setupEnd } from "../../protocol/shapes.ts";
import { ROLES, RUN_STATES, type Run, STATES, TURN_KINDS, type TurnKind } from "../cell.ts";
import { EXIT_CLASSES, STOP_CAUSES } from "../exit.ts";
import { left } from "../handoff.ts";
import type { HistoryRow } from "../history-row.ts";
import type { NewPrompt } from "../prompt.ts";
import { fixed, flag, int, json, type KeysOf, later, maybe, oneOf, open, table, text } from "./columns.ts";

const words = json<readonly string[]>(z.array(z.string()));

/** Each column of `runs`. */
const RUNS = table(
  {
    cellId: fixed(text),
    n: fixed(int),
    turn: fixed(int),
    turnKind: fixed(oneOf(TURN_KINDS)),
    agent: fixed(text),
    role: fixed(oneOf(ROLES)),
    state: open(oneOf(RUN_STATES)),
    requesterId: fixed(maybe(int)),
    requesterLogin: fixed(text),
    createdAt: fixed(int),
    notBefore: open(maybe(int)),
    isAutomatic: fixed(flag),
    startedAt: later(maybe(int)),
    endedAt: later(maybe(int)),
    code: later(maybe(int)),
    signal: later(maybe(text)),
    stopped: later(maybe(text)),
    stopCause: later(maybe(oneOf(STOP_CAUSES))),
    handle: later(maybe(json(z.record(z.string(), z.unknown())))),
    logPath: later(maybe(text)),
    collectedAt: later(maybe(int)),
    leftovers: later(words),
    refusedHosts: later(words),
    people: later(maybe(json(peoplePush))),
    exitClass: later(maybe(oneOf(EXIT_CLASSES))),
    exitWhy: later(maybe(text)),
    exitSays: later(maybe(text)),
    resetsAt: later(maybe(int)),
    secrets: later(maybe(json<readonly GivenSecret[]>(z.array(givenSecret)))),
    setup: later(maybe(json(setupBegun.extend({ end: setupEnd.nullable() })))),
    left: later(maybe(json(left))),
    costUsd: later(maybe(int)),
    tokens: later(maybe(int)),
    moreUsd: later(int),
    moreTokens: later(int),
  },
  { cellId: "cell", isAutomatic: "automatic" },
);
type Columns = (typeof RUNS)["columns"];

/** A row of `runs` as a Run. */
export function runFromRow(row: unknown): Run {
  const { requesterId, requesterLogin, ...rest } = RUNS.read(row);
  return { ...rest, requester: { id: requesterId, login: requesterLogin } };
}

/**
 * A run as it is asked for. Without a prompt of its own it gets the cell's brief. One that is automatic is
 * another attempt of the last turn; any other begins a turn.
 */
export type NewRun = Pick<Run, "cellId" | "agent" | "role" | "requester"> & {
  readonly state: "waiting" | "admitted";
  readonly notBefore?: number | null;
  readonly isAutomatic?: boolean;
  readonly turnKind?: TurnKind;
  readonly prompt?: NewPrompt;
};

/** The columns of a new run of a cell; `last` is the one before it. */
export function rowOfNewRun(
  run: NewRun,
  { last, ...more }: Pick<Run, "n" | "createdAt"> & { readonly last: Run | null },
): Record<string, unknown> {
  const { cellId, agent, role, state, requester, notBefore = null, isAutomatic = false } = run;
  const { id: requesterId, login: requesterLogin } = requester;
  return RUNS.write({
    ...{ cellId, agent, role, state, notBefore, isAutomatic, requesterId, requesterLogin },
    ...more,
    ...turnOf(run, last),
  });
}

function turnOf(run: NewRun, last: Run | null): Pick<Run, "turn" | "turnKind"> {
  if (last === null) return { turn: 1, turnKind: run.turnKind ?? "first" };
  if (run.isAutomatic === true) return { turn: last.turn, turnKind: last.turnKind };
  return { turn: last.turn + 1, turnKind: run.turnKind ?? "revive" };
}

export type RunChange = Partial<Pick<Run, KeysOf<Columns, "open" | "later">>>;

/** The columns that a change writes. */
export function rowOfRunChange(change: RunChange): Record<string, unknown> {
  return RUNS.write(change);
}

const historyRow = z.object({
  at: z.number(),
  from: z.enum(STATES).nullable(),
  to: z.enum(STATES),
  who: z.string(),
  why: z.string(),
});

/** A row of `history`. */
export function historyFromRow(row: unknown): HistoryRow {
  return historyRow.parse(row);
}

/** The last run that worked: see `Registry.lastKeptRun`. */
export const LAST_KEPT = `
  SELECT * FROM runs WHERE cell = @cellId AND state <> 'withdrawn' AND role <> 'observer'
  AND NOT (state = 'waiting' AND automatic = 1) ORDER BY n DESC LIMIT 1`;
