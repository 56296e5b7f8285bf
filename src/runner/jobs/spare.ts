import { explain } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";

/** Where none can be made the next summon is slower, and that is all. */
export async function spare(parts: Parts, job: RunnerJob<"spare">, signal: AbortSignal): Promise<Outcome> {
  const { cellId, repository, user, ref, commit } = job.payload;
  // Never as root: what is checked out is not ours.
  if (user !== null || !parts.asRoot) {
    await parts.spares.make({ repository, user, ref, commit }, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      const what = { repository: repository.fullName, why: explain(error) };
      parts.log.info(what, "no tree waits for the next summon");
    });
  }
  return { reports: [reportOf("spare-made", { cellId }, job.key)] };
}
