import * as z from "zod";
import { explain } from "../errors.ts";
import { JOBS, type JobKind } from "../protocol/jobs.ts";
import { ALONE_FROM } from "./next-job.ts";
import { JOB_STATES, type Job, type JobRow } from "./queue.ts";

/** A job and the lease under which one attempt works on it; every write of that attempt names both. */
export interface NamedLease {
  readonly id: string;
  readonly lease: string;
}

/**
 * A row that was just claimed. With a `fault` it must not be worked on; `job` is null where this version
 * cannot read it.
 */
export interface Claimed {
  readonly claim: NamedLease;
  readonly kind: string;
  readonly job: Job<JobKind> | null;
  readonly fault: string | null;
  /** Lazarus was killed at it before, so that nothing is begun beside it. */
  readonly isSuspect: boolean;
}

/** The columns every row that is handed out is made of. */
export const CLAIM_COLUMNS =
  "id, kind, key, lane, payload, notes, attempt, outages, interruptions, kills, max_attempts AS maxAttempts, put_at AS putAt";

const claimRow = z.object({
  id: z.string(),
  kind: z.string(),
  key: z.string(),
  lane: z.string(),
  payload: z.string(),
  notes: z.string(),
  attempt: z.number(),
  outages: z.number(),
  interruptions: z.number(),
  kills: z.number(),
  maxAttempts: z.number(),
  putAt: z.number(),
});
export type ClaimRow = z.infer<typeof claimRow>;

const notesShape = z.record(z.string(), z.unknown());

export const LIST_COLUMNS =
  "id, queue, kind, key, lane, state, attempt, max_attempts AS maxAttempts, put_at AS putAt, not_before AS notBefore, ended_at AS endedAt, error, outages, in_outage AS inOutage";

const listRow = z.object({
  id: z.string(),
  queue: z.string(),
  // A row of another version may name a kind we do not know: it is listed all the same.
  kind: z.string().transform((kind) => kind as JobKind),
  key: z.string(),
  lane: z.string(),
  state: z.enum(JOB_STATES),
  attempt: z.number(),
  maxAttempts: z.number(),
  putAt: z.number(),
  notBefore: z.number(),
  endedAt: z.number().nullable(),
  error: z.string().nullable(),
  outages: z.number(),
  inOutage: z.number().transform((value) => value !== 0),
});

export function parseClaimRow(row: unknown): ClaimRow {
  return claimRow.parse(row);
}

export function parseListRow(row: unknown): JobRow {
  return listRow.parse(row);
}

export function isJobKind(kind: string): kind is JobKind {
  return Object.hasOwn(JOBS, kind);
}

/** Reads notes as `JobContext.note` wrote them. */
export function parseNotes(text: string): Record<string, unknown> {
  return notesShape.parse(JSON.parse(text));
}

/** Makes a job of a row, or says why this version cannot. */
export function toClaimed(row: ClaimRow, claim: NamedLease): Claimed {
  const { kind } = row;
  const isSuspect = row.kills >= ALONE_FROM;
  const faulty = (fault: string): Claimed => ({ claim, kind, job: null, fault, isSuspect });
  if (!isJobKind(kind)) return faulty(`this version of Lazarus knows no job of kind ${kind}`);
  try {
    const payload = JOBS[kind].payload.parse(JSON.parse(row.payload));
    const job = { ...row, kind, payload, notes: parseNotes(row.notes) };
    return { claim, kind, job, fault: null, isSuspect };
  } catch (error) {
    return faulty(`this version of Lazarus cannot read what the job holds: ${explainShape(error)}`);
  }
}

/** In one line, where and how something does not fit its schema. */
export function explainShape(error: unknown): string {
  return error instanceof z.ZodError ? z.prettifyError(error).replaceAll(/\s+/g, " ") : explain(error);
}
