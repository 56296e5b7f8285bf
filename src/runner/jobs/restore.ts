import { explainToPeople, isRetryable } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { note } from "../journal.ts";
import { fetchSeal, settleHere } from "../seal/fetch-seal.ts";
import { restoreCell } from "../seal/restore.ts";

/** All of a cell is read twice and written once, maybe on a slow disk. */
const RESTORE_MS = 60 * 60_000;

export async function restore(
  parts: Parts,
  job: RunnerJob<"restore">,
  signal: AbortSignal,
): Promise<Outcome> {
  const { cellId, run, repository, user, baseCommit, baseRef } = job.payload;
  try {
    // The worktree borrows the mirror's objects: without them there is no use in it.
    const want = { commit: baseCommit, ref: baseRef, group: user?.groups[0] ?? null };
    await parts.mirrors.provide(repository, want, signal);
    await parts.mirrors.keep(repository, cellId, baseCommit);
    if (job.payload.stored !== null) await fetchSeal(parts, job, signal);
    const plan = {
      cellDir: parts.cellDir(cellId),
      run,
      user,
      freeBytes: parts.config.limits.freeBytes,
      path: parts.config.childPath,
      // A file that is all holes may be of any size; what is stored was counted.
      limits: { ...parts.workLimits, fileBytes: Number.POSITIVE_INFINITY, mostMs: RESTORE_MS },
      signal,
      log: parts.log,
    };
    const entries = await restoreCell(plan);
    if (job.payload.stored !== null) await settleHere(parts, job);
    await note(parts, cellId, { what: "restored", run, entries });
  } catch (error) {
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    const why = parts.redact(explainToPeople(error));
    await note(parts, cellId, { what: "not restored", run, why });
    return { reports: [reportOf("restore-refused", { cellId, run, why }, job.key)] };
  }
  return { reports: [reportOf("restored", { cellId, run }, job.key)] };
}
