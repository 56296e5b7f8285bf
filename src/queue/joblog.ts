import { LazarusError } from "../errors.ts";
import { JOBS, type JobKind, type JobPayload } from "../protocol/jobs.ts";
import type { Db } from "../store/db.ts";
import {
  CLAIM_COLUMNS,
  type Claimed,
  explainShape,
  LIST_COLUMNS,
  type NamedLease,
  parseClaimRow,
  parseListRow,
  parseNotes,
  toClaimed,
} from "./job-row.ts";
import { asParameters, LOOK_AGAIN_MS, MOST_KILLS, NEXT, type Search } from "./next-job.ts";
import { pruneStatements } from "./old-jobs.ts";
import { JOB_STATES, type Job, type JobRow, type JobState, type NewJob } from "./queue.ts";
import { createRanks } from "./rank.ts";

/** How often a job is tried where `put` does not say. */
export const DEFAULT_MAX_ATTEMPTS = 12;

/** Why and when (epoch ms) a job left or was put off. */
export interface Because {
  readonly at: number;
  readonly error: string;
}

/**
 * The rows of the job log, without any timing or running: transports are built on it. Every write joins the
 * caller's transaction; those that name a lease answer false, having changed nothing, when the lease is not
 * the row's any more.
 */
export interface JobLog {
  /** To be called in a transaction. */
  put<K extends JobKind>(job: NewJob<K>, now: number): string | "duplicate";
  hasNext(search: Search): boolean;
  /** Takes the first job that may start, or undefined. To be called in a transaction. */
  claim(search: Search, lease: { readonly name: string; readonly until: number }): Claimed | undefined;
  extend(claim: NamedLease, until: number): boolean;
  note(claim: NamedLease, notes: Record<string, unknown>): boolean;
  done(claim: NamedLease, at: number): boolean;
  /** Back to waiting until `because.at`; an attempt that failed in an outage does not count. */
  putOff(claim: NamedLease, because: Because, inOutage: boolean): boolean;
  dead(claim: NamedLease, because: Because): boolean;
  giveBack(claim: NamedLease): boolean;
  /**
   * Takes the leases back, but for those of jobs that `isElsewhere`, which it answers. Only for the one
   * process that works, before its first claim.
   */
  recover(
    now: number,
    isElsewhere?: (job: Job<JobKind>) => boolean,
  ): { readonly taken: number; readonly elsewhere: Claimed[] };
  attemptAtWork(id: string): number | null;
  /** Answers the ids of those that waited and of those that ran. */
  end(
    match: { readonly lane: string; readonly kinds: readonly JobKind[] },
    because: Because,
  ): { waiting: string[]; running: string[] };
  /** The job that was put under a key. */
  idOf(key: string): string | null;
  retry(id: string, now: number): boolean;
  /** The same for one that was ended, too. */
  again(id: string, now: number): boolean;
  /** What waits because of an outage is due now. Answers how many jobs. */
  resume(now: number): number;
  drop(id: string, because: Because): boolean;
  list(filter?: { readonly states?: readonly JobState[]; readonly limit?: number }): JobRow[];
  stats(): Record<JobState, number>;
  shift(ms: number): void;
  prune(endedBefore: number, isOver?: (subject: string) => boolean): number;
  /** When the next job that waits for a later time is due (epoch ms), else null. */
  nextDue(now: number): number | null;
}

const PUT_BACK = `
  UPDATE jobs SET state = 'waiting', attempt = 0, outages = 0, interruptions = 0, kills = 0, not_before = @now,
    ended_at = NULL, error = NULL
  WHERE id = @id AND state`;
const HELD = "id = @id AND lease = @lease AND state = 'running'";

/** Prepares every statement of the job log on an open registry. */
export function openJobLog(db: Db): JobLog {
  const sql = db.sql;
  const rankOf = createRanks(sql);
  const statements = {
    sayKey: sql.prepare("INSERT INTO job_keys (key, job_id) VALUES (@key, @id) ON CONFLICT DO NOTHING"),
    findLike: sql.prepare(
      "SELECT id, payload FROM jobs WHERE merge_tag = @tag AND kind = @kind AND state = 'waiting' ORDER BY seq LIMIT 1",
    ),
    // The sooner and the more urgent of both, but a retry keeps its pause.
    fold: sql.prepare(
      `UPDATE jobs SET payload = @payload, urgent = max(urgent, @urgent),
         not_before = CASE WHEN attempt = 0 THEN min(not_before, @notBefore) ELSE not_before END WHERE id = @id`,
    ),
    ownKey: sql.prepare("UPDATE job_keys SET job_id = @id WHERE key = @key"),
    insert: sql.prepare(
      `INSERT INTO jobs (id, queue, kind, key, lane, state, urgent, payload, merge_tag, max_attempts, put_at, not_before,
         rank, owner, repository)
       VALUES (@id, @queue, @kind, @key, @lane, 'waiting', @urgent, @payload, @tag, @maxAttempts, @now, @notBefore,
         @rank, @owner, @repository)`,
    ),
    hasNext: sql.prepare(`SELECT 1 ${NEXT}`),
    next: sql.prepare(`SELECT ${CLAIM_COLUMNS} ${NEXT}`),
    take: sql.prepare(
      "UPDATE jobs SET state = 'running', attempt = attempt + 1, in_outage = 0, lease = @lease, lease_until = @until WHERE id = @id",
    ),
    extend: sql.prepare(`UPDATE jobs SET lease_until = @until WHERE ${HELD}`),
    notes: sql.prepare(`SELECT notes FROM jobs WHERE ${HELD}`).pluck(),
    note: sql.prepare(`UPDATE jobs SET notes = @notes WHERE ${HELD}`),
    leave: sql.prepare(
      `UPDATE jobs SET state = @state, ended_at = @at, error = @error, lease = NULL, lease_until = NULL WHERE ${HELD}`,
    ),
    putOff: sql.prepare(
      `UPDATE jobs SET state = 'waiting', not_before = @at, error = @error, lease = NULL, lease_until = NULL,
         kills = 0, outages = outages + @outage, in_outage = @outage WHERE ${HELD}`,
    ),
    resume: sql.prepare(
      `UPDATE jobs INDEXED BY jobs_in_outage SET in_outage = 0, not_before = min(not_before, @now)
         WHERE in_outage = 1 AND state = 'waiting'`,
    ),
    giveBack: sql.prepare(
      `UPDATE jobs SET state = 'waiting', interruptions = interruptions + 1, lease = NULL, lease_until = NULL WHERE ${HELD}`,
    ),
    recover: sql.prepare(
      `UPDATE jobs SET state = 'waiting', interruptions = interruptions + 1,
         not_before = @now + CASE WHEN kind = 'thread' AND kills + 1 >= ${MOST_KILLS} THEN ${LOOK_AGAIN_MS} ELSE 0 END,
         kills = max(kills, min(kills + 1, CASE WHEN kind = 'thread' THEN ${MOST_KILLS} - 1 ELSE @most END)),
         lease = NULL, lease_until = NULL WHERE id IN (SELECT value FROM json_each(@ids))`,
    ),
    running: sql.prepare(`SELECT ${CLAIM_COLUMNS}, lease FROM jobs WHERE state = 'running'`),
    attempt: sql.prepare("SELECT attempt FROM jobs WHERE id = @id AND state = 'running'").pluck(),
    open: sql.prepare(
      `SELECT id, state FROM jobs INDEXED BY jobs_open WHERE lane = @lane AND state IN ('waiting','running')
         AND kind IN (SELECT value FROM json_each(@kinds)) ORDER BY seq`,
    ),
    end: sql.prepare(
      "UPDATE jobs SET state = 'ended', ended_at = @at, error = @error, lease = NULL, lease_until = NULL WHERE id = @id",
    ),
    idOf: sql.prepare("SELECT job_id FROM job_keys WHERE key = @key").pluck(),
    retry: sql.prepare(`${PUT_BACK} = 'dead'`),
    again: sql.prepare(`${PUT_BACK} IN ('dead','ended')`),
    drop: sql.prepare(
      "UPDATE jobs SET state = 'ended', ended_at = @at, error = @error WHERE id = @id AND state IN ('waiting','dead')",
    ),
    list: sql.prepare(
      `SELECT seq, ${LIST_COLUMNS} FROM jobs WHERE state = @state ORDER BY seq DESC LIMIT @limit`,
    ),
    stats: sql.prepare("SELECT state, count(*) AS n FROM jobs GROUP BY state"),
    shift: sql.prepare(
      "UPDATE jobs SET not_before = not_before + @ms, lease_until = lease_until + @ms WHERE state IN ('waiting','running')",
    ),
    ...pruneStatements(sql),
    nextDue: sql
      .prepare(
        "SELECT min(not_before) FROM jobs INDEXED BY jobs_due WHERE state = 'waiting' AND not_before > ?",
      )
      .pluck(),
  };

  function put<K extends JobKind>(job: NewJob<K>, now: number): string | "duplicate" {
    const id = crypto.randomUUID();
    const fresh = checkedPayload(job.kind, job.payload);
    if (statements.sayKey.run({ key: job.key, id }).changes === 0) return "duplicate";
    const times = { urgent: job.urgent ? 1 : 0, notBefore: job.notBefore ?? now };
    if (job.merge !== undefined) {
      const like = statements.findLike.get({ tag: job.merge.tag, kind: job.kind }) as
        | { id: string; payload: string }
        | undefined;
      const waiting = like && JOBS[job.kind].payload.safeParse(JSON.parse(like.payload));
      // What an older version wrote and we cannot read is left alone: it will go dead, the fresh one is put.
      if (like !== undefined && waiting?.success) {
        const folded = job.merge.fold(waiting.data as JobPayload<K>, fresh);
        const payload = JSON.stringify(checkedPayload(job.kind, folded));
        statements.fold.run({ id: like.id, payload, ...times });
        statements.ownKey.run({ key: job.key, id: like.id });
        return like.id;
      }
    }
    statements.insert.run({
      id,
      queue: JOBS[job.kind].queue,
      kind: job.kind,
      key: job.key,
      lane: job.lane,
      payload: JSON.stringify(fresh),
      tag: job.merge?.tag ?? null,
      maxAttempts: job.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      now,
      ...times,
      ...rankOf(job),
    });
    return id;
  }

  function claim(
    search: Search,
    lease: { readonly name: string; readonly until: number },
  ): Claimed | undefined {
    const found = statements.next.get(asParameters(search));
    if (found === undefined) return undefined;
    const row = parseClaimRow(found);
    const named = { id: row.id, lease: lease.name };
    statements.take.run({ ...named, until: lease.until });
    if (row.kills >= MOST_KILLS) {
      const fault = `Lazarus was killed ${row.kills} times in a row while it was at work on this`;
      return { ...toClaimed(row, named), fault };
    }
    return toClaimed({ ...row, attempt: row.attempt + 1 }, named);
  }

  return {
    put,
    hasNext: (search) => statements.hasNext.get(asParameters(search)) !== undefined,
    claim,
    extend: (claim, until) => statements.extend.run({ ...claim, until }).changes === 1,
    note(claim, notes) {
      const old = statements.notes.get(claim);
      if (typeof old !== "string") return false;
      return (
        statements.note.run({ ...claim, notes: JSON.stringify({ ...parseNotes(old), ...notes }) }).changes ===
        1
      );
    },
    done: (claim, at) => statements.leave.run({ ...claim, state: "done", at, error: null }).changes === 1,
    putOff: (claim, because, inOutage) =>
      statements.putOff.run({ ...claim, ...because, outage: Number(inOutage) }).changes === 1,
    dead: (claim, because) => statements.leave.run({ ...claim, state: "dead", ...because }).changes === 1,
    giveBack: (claim) => statements.giveBack.run(claim).changes === 1,
    recover(now, isElsewhere = () => false) {
      const elsewhere: Claimed[] = [];
      const ours = statements.running.all().flatMap((found) => {
        const row = parseClaimRow(found);
        const claimed = toClaimed(row, { id: row.id, lease: (found as { lease: string }).lease });
        if (claimed.job === null || !isElsewhere(claimed.job)) return [row.id];
        elsewhere.push(claimed);
        return [];
      });
      // Of several nobody knows at which one it was killed: none of them dies of that.
      const most = ours.length === 1 ? MOST_KILLS : MOST_KILLS - 1;
      // Also where there are none: a registry that cannot be written is noticed now.
      const taken = statements.recover.run({ ids: JSON.stringify(ours), now, most }).changes;
      return { taken, elsewhere };
    },
    attemptAtWork: (id) => (statements.attempt.get({ id }) as number | undefined) ?? null,
    end(match, because) {
      const rows = statements.open.all({ lane: match.lane, kinds: JSON.stringify(match.kinds) }) as {
        id: string;
        state: JobState;
      }[];
      for (const { id } of rows) statements.end.run({ id, ...because });
      const ids = (state: JobState) => rows.filter((row) => row.state === state).map((row) => row.id);
      return { waiting: ids("waiting"), running: ids("running") };
    },
    resume: (now) => statements.resume.run({ now }).changes,
    idOf: (key) => (statements.idOf.get({ key }) as string | undefined) ?? null,
    retry: (id, now) => statements.retry.run({ id, now }).changes === 1,
    again: (id, now) => statements.again.run({ id, now }).changes === 1,
    drop: (id, because) => statements.drop.run({ id, ...because }).changes === 1,
    list({ states = JOB_STATES, limit = 100 } = {}) {
      // One short walk of an index per state: the many finished rows are never sorted.
      const rows = states.flatMap((state) => statements.list.all({ state, limit }) as { seq: number }[]);
      return rows
        .sort((a, b) => b.seq - a.seq)
        .slice(0, limit)
        .map(parseListRow);
    },
    stats() {
      const counts: Record<JobState, number> = { waiting: 0, running: 0, done: 0, dead: 0, ended: 0 };
      for (const row of statements.stats.all() as { state: JobState; n: number }[]) counts[row.state] = row.n;
      return counts;
    },
    shift: (ms) => void statements.shift.run({ ms }),
    prune(endedBefore, isOver = () => false) {
      statements.forgetFresh.run({ endedBefore });
      for (const subject of statements.subjects.all({ endedBefore }) as string[])
        if (isOver(subject)) statements.forget.run({ from: `${subject}:`, to: `${subject};`, endedBefore });
      return statements.prune.run({ endedBefore }).changes;
    },
    nextDue(now) {
      const at = statements.nextDue.get(now);
      return typeof at === "number" ? at : null;
    },
  };
}

/**
 * A payload that does not fit its schema is our own mistake: it fails where it is put, not where it is worked
 * off.
 */
function checkedPayload<K extends JobKind>(kind: K, payload: unknown): JobPayload<K> {
  const parsed = JOBS[kind].payload.safeParse(payload);
  if (parsed.success) return parsed.data as JobPayload<K>;
  throw new LazarusError("internal", `putting a ${kind} job: ${explainShape(parsed.error)}`, {
    cause: parsed.error,
  });
}
