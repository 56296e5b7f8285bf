import type { Db } from "../store/db.ts";

const OLD = "state IN ('done','ended') AND ended_at < @endedBefore";
/** Nobody says them again: fresh ones, a command line call's, and a reaction's, which is the same twice. */
const FRESH = "(instr(key, ':') = 0 OR substr(key, 1, 4) IN ('cli:', 'reac'))";
/** What a key begins with that names whose it is: `4f1c0b7e-…:1:start`. */
const SUBJECT = "substr(key, 1, 36)";

/**
 * What removes rows that ended long ago, and with them the keys that need not be known for ever. All other
 * keys stay: what was said once is never done again.
 */
export function pruneStatements(sql: Db["sql"]) {
  return {
    prune: sql.prepare(`DELETE FROM jobs INDEXED BY jobs_ended WHERE ${OLD}`),
    forgetFresh: sql.prepare(
      `DELETE FROM job_keys WHERE ${FRESH}
         AND job_id IN (SELECT id FROM jobs INDEXED BY jobs_ended WHERE ${OLD})`,
    ),
    subjects: sql
      .prepare(
        `SELECT DISTINCT ${SUBJECT} FROM jobs INDEXED BY jobs_ended WHERE ${OLD} AND substr(key, 37, 1) = ':'`,
      )
      .pluck(),
    /** Those between `from` and `to`, but for keys of rows that stay. */
    forget: sql.prepare(
      `DELETE FROM job_keys WHERE key >= @from AND key < @to
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = job_keys.job_id AND NOT (${OLD}))`,
    ),
  };
}
