import { JOBS, type JobKind, type JobPayload } from "../protocol/jobs.ts";
import type { Db } from "../store/db.ts";
import type { NewJob } from "./queue.ts";

/** What one job of a repository pushes the next one of it back by. */
const REPOSITORY_STEP = 8;
/** What one job of an owner pushes the next one of that owner back by: many repositories count as eight. */
const OWNER_STEP = 1;

/** Where a job stands among those of its queue: the lowest goes first, and among equals the oldest. */
export interface Rank {
  readonly rank: number;
  /** In lower case; null: the job is nobody's. */
  readonly owner: string | null;
  readonly repository: string | null;
}

/**
 * Ranks what people type, so that a repository where much is typed holds up no other: start-time fair
 * queueing, https://doi.org/10.1109/90.649569. Each job comes one step after the last one of its repository
 * that is not done, and never before what is read now. In a lane the order stays that of putting.
 */
export function createRanks(sql: Db["sql"]): (job: NewJob<JobKind>) => Rank {
  const lastOf = (index: string, column: string) =>
    `SELECT rank FROM jobs INDEXED BY ${index}
     WHERE state IN ('waiting','running') AND queue = 'events' AND ${column} = @${column} ORDER BY seq DESC LIMIT 1`;
  const rankOf = sql
    .prepare(
      `SELECT max(
         coalesce(
           (SELECT max(rank) FROM jobs INDEXED BY jobs_read WHERE queue = 'events' AND state = 'running'),
           (SELECT rank FROM jobs INDEXED BY jobs_next
              WHERE queue = 'events' AND state = 'waiting' AND urgent = 0 ORDER BY rank LIMIT 1),
           0),
         coalesce((${lastOf("jobs_open", "lane")}), 0),
         coalesce((${lastOf("jobs_of_repository", "repository")}) + ${REPOSITORY_STEP}, 0),
         coalesce((${lastOf("jobs_of_owner", "owner")}) + ${OWNER_STEP}, 0))`,
    )
    .pluck();

  return (job) => {
    if (JOBS[job.kind].queue !== "events") return { rank: 0, owner: null, repository: null };
    const repository = repositoryOf(job.payload)?.toLowerCase() ?? null;
    const owner = repository?.split("/")[0] ?? null;
    const rank = rankOf.get({ lane: job.lane, repository, owner }) as number;
    return { rank, owner, repository };
  };
}

/** Where it was typed. */
function repositoryOf(payload: JobPayload<JobKind>): string | null {
  if ("asker" in payload) return payload.asker.via === "forge" ? payload.asker.repository.fullName : null;
  return "delivered" in payload ? payload.repository.fullName : null;
}
