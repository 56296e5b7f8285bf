import type { Registry } from "../../cells/registry/registry.ts";
import type { Thread } from "../../cells/registry/unasked.ts";
import { stepJobs } from "../../cells/steps/step-jobs.ts";
import type { NewJob, Queue } from "../../queue/queue.ts";

export interface UnaskedDeps {
  readonly queue: Pick<Queue, "put">;
  readonly registry: Pick<Registry, "unasked" | "ofThread" | "ofPullRequest">;
}

/**
 * Posts what nobody with write permission asked for, in the caller's transaction, and counts it there.
 * Answers whether it is written: it is not where the thread is quiet, and where `person` was refused in words
 * often enough.
 */
export function writeUnasked(
  job: NewJob<"comment">,
  deps: UnaskedDeps,
  person: number | null = null,
): boolean {
  const { repository, number } = job.payload;
  const { unasked } = deps.registry;
  const thread = { repository, number };
  if (unasked.quietSince(thread) !== null || (person !== null && unasked.isTold(person))) return false;
  // Said before, under the same key: that was counted then.
  if (deps.queue.put(job) === "duplicate") return true;
  if (unasked.count(job.key, { ...thread, person })) showQuiet(thread, deps);
  return true;
}

/** A thread is quiet from now on: that is on the cards of its cells. */
function showQuiet({ repository, number }: Thread, deps: UnaskedDeps): void {
  const { registry, queue } = deps;
  const cells = [...registry.ofThread(repository.id, number), ...registry.ofPullRequest(repository, number)];
  for (const { id, state } of cells) if (state !== "destroyed") queue.put(stepJobs.card(id));
}
