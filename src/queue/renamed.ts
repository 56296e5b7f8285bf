import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Db } from "../store/db.ts";

/**
 * Gives a repository its new name in every job that is not done, dead ones included: whatever asks the forge
 * by name would be led elsewhere. Joins the caller's transaction.
 */
export function renameInJobs(db: Db, repository: RepositoryRef): void {
  const rows = db.sql
    // A tick names the repository as its delivery did, which may be forged: it is looked at under that name.
    .prepare("SELECT id, payload FROM jobs WHERE state IN ('waiting','running','dead') AND kind <> 'thread'")
    .all() as { id: string; payload: string }[];
  const write = db.sql.prepare("UPDATE jobs SET payload = @payload WHERE id = @id");
  for (const { id, payload } of rows) {
    if (!payload.includes(`"id":${repository.id},`)) continue;
    const renamed = JSON.stringify(JSON.parse(payload), (_key, value: unknown) =>
      isRef(value) && value.id === repository.id ? { ...value, fullName: repository.fullName } : value,
    );
    if (renamed !== payload) write.run({ id, payload: renamed });
  }
}

function isRef(value: unknown): value is RepositoryRef {
  return typeof value === "object" && value !== null && "id" in value && "fullName" in value;
}
