import * as z from "zod";
import { LIST_COLUMNS, parseListRow } from "../queue/job-row.ts";
import type { JobRow } from "../queue/queue.ts";
import type { Db } from "../store/db.ts";

/** How one queue stands. */
export interface QueueState {
  readonly queue: string;
  readonly ready: number;
  readonly scheduled: number;
  readonly running: number;
  readonly retrying: number;
  readonly dead: number;
  /** When the oldest that is ready was put, or came due; null: none is. */
  readonly oldestReady: number | null;
}

const CELL = "coalesce(json_extract(payload, '$.cellId'), json_extract(payload, '$.cell.id'))";
const SEEN = `(@all = 1 OR ${CELL} IN (SELECT id FROM cells WHERE repository IN (SELECT value FROM json_each(@ids))))`;

export interface JobsSeen {
  /** A JSON list of repositories; jobs of other cells, and those of no cell, are as if not there. */
  readonly ids: string;
  /** An operator sees every job. */
  readonly all: boolean;
}

/** Every queue that has open jobs one may see. */
export function queueStates({ sql }: Pick<Db, "sql">, { ids, all }: JobsSeen, now: number): QueueState[] {
  return sql
    .prepare(
      `SELECT queue, sum(state = 'waiting' AND attempt = 0 AND not_before <= @now) AS ready,
         sum(state = 'waiting' AND attempt = 0 AND not_before > @now) AS scheduled, sum(state = 'running') AS running,
         sum(state = 'waiting' AND attempt > 0) AS retrying, sum(state = 'dead') AS dead,
         min(CASE WHEN state = 'waiting' AND not_before <= @now THEN max(put_at, not_before) END) AS oldestReady
       FROM jobs WHERE state IN ('waiting','running','dead') AND ${SEEN} GROUP BY queue ORDER BY queue`,
    )
    .all({ now, ids, all: Number(all) }) as QueueState[];
}

/** How many jobs are dead. */
export function queueStats({ sql }: Pick<Db, "sql">): { readonly dead: number } {
  return { dead: Number(sql.prepare("SELECT count(*) FROM jobs WHERE state = 'dead'").pluck().get()) };
}

/** A job, and the cell it is about. */
export interface SeenJob extends JobRow {
  readonly cellId: string | null;
}

const seen = z.object({ cell_id: z.string().nullable() });

function jobOf(row: unknown): SeenJob {
  return { ...parseListRow(row), cellId: seen.parse(row).cell_id };
}

export const JOB_ROWS = 100;

/** Which jobs are listed. */
export type JobGroup = "ready" | "scheduled" | "running" | "retrying" | "dead" | "open";

const GROUPS: Readonly<Record<JobGroup, string>> = {
  ready: "state = 'waiting' AND attempt = 0 AND not_before <= @now",
  scheduled: "state = 'waiting' AND attempt = 0 AND not_before > @now",
  running: "state = 'running' AND @now > 0",
  retrying: "state = 'waiting' AND attempt > 0 AND @now > 0",
  dead: "state = 'dead' AND @now > 0",
  open: "state IN ('waiting','running','dead') AND @now > 0",
};
const ORDERS: Readonly<Record<JobGroup, string>> = {
  ready: "urgent DESC, seq",
  scheduled: "not_before",
  running: "seq",
  retrying: "not_before",
  dead: "ended_at DESC",
  open: "CASE state WHEN 'dead' THEN 0 WHEN 'running' THEN 1 ELSE 2 END, seq DESC",
};

/** At most `JOB_ROWS` jobs. */
export function findJobs(
  { sql }: Pick<Db, "sql">,
  { ids, all }: JobsSeen,
  what: {
    readonly group: JobGroup;
    readonly kind: string | null;
    readonly cell: string | null;
    readonly now: number;
  },
): SeenJob[] {
  return sql
    .prepare(
      `SELECT ${LIST_COLUMNS}, ${CELL} AS cell_id FROM jobs WHERE ${GROUPS[what.group]} AND ${SEEN}
         AND (@kind IS NULL OR kind = @kind) AND (@cell IS NULL OR ${CELL} = @cell)
       ORDER BY ${ORDERS[what.group]} LIMIT ${JOB_ROWS}`,
    )
    .all({ now: what.now, kind: what.kind, cell: what.cell, ids, all: Number(all) })
    .map(jobOf);
}

/** The job of an id, of those one sees; null: there is none. */
export function findJob({ sql }: Pick<Db, "sql">, { ids, all }: JobsSeen, id: string): SeenJob | null {
  const row = sql
    .prepare(`SELECT ${LIST_COLUMNS}, ${CELL} AS cell_id FROM jobs WHERE id = @id AND ${SEEN}`)
    .get({ id, ids, all: Number(all) });
  return row === undefined ? null : jobOf(row);
}

/** Lanes that stand: one of their jobs waits for its retry, and others behind it wait for that. */
export interface StandingLane {
  readonly lane: string;
  readonly notBefore: number;
  readonly error: string | null;
  readonly behind: number;
}

export function standingLanes({ sql }: Pick<Db, "sql">, { ids, all }: JobsSeen, now: number): StandingLane[] {
  return sql
    .prepare(
      `SELECT lane, not_before AS notBefore, error, (SELECT count(*) FROM jobs AS b WHERE b.lane = jobs.lane AND b.state = 'waiting' AND b.seq > jobs.seq) AS behind
       FROM jobs WHERE state = 'waiting' AND attempt > 0 AND not_before > @now AND ${SEEN} ORDER BY not_before LIMIT 20`,
    )
    .all({ now, ids, all: Number(all) }) as StandingLane[];
}

/** One try at a job that failed. */
export interface JobAttempt {
  readonly n: number;
  readonly at: number;
  readonly error: string;
}

/** Oldest first. */
export function attemptsOf({ sql }: Pick<Db, "sql">, id: string): JobAttempt[] {
  return sql
    .prepare("SELECT n, at, error FROM job_attempts WHERE job = @id ORDER BY n")
    .all({ id }) as JobAttempt[];
}
