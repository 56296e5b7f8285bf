import { explainToPeople, isRetryable } from "../../errors.ts";
import type { Finish, Job, JobContext } from "../../queue/queue.ts";
import type { Parts } from "../context.ts";
import { note } from "../journal.ts";
import { restoreCell } from "../seal/restore.ts";

export async function restore(parts: Parts, job: Job<"restore">, context: JobContext): Promise<Finish> {
  const { cellId, run, repository, user, baseCommit, baseRef } = job.payload;
  const lane = `cell:${cellId}`;
  try {
    // The worktree borrows the mirror's objects: without them there is no use in it.
    const want = { commit: baseCommit, ref: baseRef, group: user?.groups[0] ?? null };
    await parts.mirrors.provide(repository, want, context.signal);
    await parts.mirrors.keep(repository, cellId, baseCommit);
    const plan = {
      cellDir: parts.cellDir(cellId),
      run,
      user,
      freeBytes: parts.config.limits.freeBytes,
      path: parts.config.childPath,
      signal: context.signal,
    };
    const entries = await restoreCell(plan);
    await note(parts, cellId, { what: "restored", run, entries });
  } catch (error) {
    context.signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    const why = parts.redact(explainToPeople(error));
    await note(parts, cellId, { what: "not restored", run, why });
    const payload = { cellId, run, why };
    return () => parts.report({ kind: "restore-refused", key: `${job.key}:refused`, lane, payload });
  }
  const payload = { cellId, run };
  return () => parts.report({ kind: "restored", key: `${job.key}:restored`, lane, payload });
}
