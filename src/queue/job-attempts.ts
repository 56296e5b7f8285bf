import type { Db } from "../store/db.ts";

/** One try at a job that failed; `at` in epoch ms. */
export interface FailedAttempt {
  readonly job: string;
  readonly n: number;
  readonly at: number;
  readonly error: string;
}

/** Of one job: what failed more often did so in the same way. */
const MOST_KEPT = 30;

/** Keeps what went wrong for whoever looks at the job; joins the caller's transaction. */
export function noteAttempt({ sql }: Pick<Db, "sql">, attempt: FailedAttempt): void {
  sql
    .prepare("INSERT OR REPLACE INTO job_attempts (job, n, at, error) VALUES (@job, @n, @at, @error)")
    .run({ ...attempt });
  sql
    .prepare("DELETE FROM job_attempts WHERE job = @job AND n <= @n - @most")
    .run({ job: attempt.job, n: attempt.n, most: MOST_KEPT });
}

/** Forgets those of jobs that are no more. */
export function pruneAttempts({ sql }: Pick<Db, "sql">): void {
  sql.prepare("DELETE FROM job_attempts WHERE job NOT IN (SELECT id FROM jobs)").run();
}
