import * as z from "zod";
import { peoplePush, setupBegun, setupEnd } from "../../protocol/shapes.ts";
import { type HistoryRow, ROLES, RUN_STATES, type Run, STATES } from "../cell.ts";
import { EXIT_CLASSES } from "../exit.ts";
import type { NewPrompt } from "../prompt.ts";
import { flag, json } from "./columns.ts";

const runRow = z.object({
  cell: z.string(),
  n: z.number(),
  agent: z.string(),
  role: z.enum(ROLES),
  state: z.enum(RUN_STATES),
  requester_id: z.number().nullable(),
  requester_login: z.string(),
  created_at: z.number(),
  started_at: z.number().nullable(),
  ended_at: z.number().nullable(),
  code: z.number().nullable(),
  signal: z.string().nullable(),
  stopped: z.string().nullable(),
  handle: json(z.record(z.string(), z.unknown())).nullable(),
  log_path: z.string().nullable(),
  collected_at: z.number().nullable(),
  leftovers: json(z.array(z.string())),
  refused_hosts: json(z.array(z.string())),
  people: json(peoplePush).nullable(),
  not_before: z.number().nullable(),
  automatic: flag,
  exit_class: z.enum(EXIT_CLASSES).nullable(),
  exit_why: z.string().nullable(),
  resets_at: z.number().nullable(),
  setup: json(setupBegun.extend({ end: setupEnd.nullable() })).nullable(),
});

/** A row of `runs` as a Run. */
export function runFromRow(row: unknown): Run {
  const r = runRow.parse(row);
  return {
    cellId: r.cell,
    n: r.n,
    agent: r.agent,
    role: r.role,
    state: r.state,
    requester: { id: r.requester_id, login: r.requester_login },
    createdAt: r.created_at,
    startedAt: r.started_at,
    endedAt: r.ended_at,
    code: r.code,
    signal: r.signal,
    stopped: r.stopped,
    handle: r.handle,
    logPath: r.log_path,
    collectedAt: r.collected_at,
    leftovers: r.leftovers,
    refusedHosts: r.refused_hosts,
    people: r.people,
    notBefore: r.not_before,
    isAutomatic: r.automatic,
    exitClass: r.exit_class,
    exitWhy: r.exit_why,
    resetsAt: r.resets_at,
    setup: r.setup,
  };
}

/** A run as it is asked for. Without a prompt of its own it gets the cell's brief. */
export type NewRun = Pick<Run, "cellId" | "agent" | "role" | "requester"> & {
  readonly state: "waiting" | "admitted";
  readonly notBefore?: number | null;
  readonly isAutomatic?: boolean;
  readonly prompt?: NewPrompt;
};

/** The parameters that a new run is inserted with, besides its number and time. */
export function bindRun(run: NewRun): Record<string, unknown> {
  return {
    cellId: run.cellId,
    agent: run.agent,
    role: run.role,
    state: run.state,
    requesterId: run.requester.id,
    requesterLogin: run.requester.login,
    notBefore: run.notBefore ?? null,
    automatic: Number(run.isAutomatic ?? false),
  };
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

/** Writes what `bindRun` gives, with `n` and `createdAt`. */
export const INSERT_RUN = `
  INSERT INTO runs (cell, n, agent, role, state, requester_id, requester_login, created_at, not_before, automatic)
  VALUES (@cellId, @n, @agent, @role, @state, @requesterId, @requesterLogin, @createdAt, @notBefore, @automatic)`;
