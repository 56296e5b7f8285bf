import type { Registry } from "../cells/registry/registry.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";

/**
 * Whether something may follow from a comment without a command: a cell lives there, whose messages, reviews
 * and guests belong to the thread, or it is a proposal, whose comments are counted.
 */
export function isOfInterest(
  thread: { readonly repository: RepositoryRef; readonly number: number },
  registry: Pick<Registry, "ofThread" | "ofPullRequest" | "proposals">,
): boolean {
  const { repository, number } = thread;
  const cells = [...registry.ofThread(repository.id, number), ...registry.ofPullRequest(repository, number)];
  if (cells.some(({ state }) => state !== "archived" && state !== "destroyed")) return true;
  const proposal = registry.proposals.of(repository.id, number);
  return proposal !== null && proposal.state !== "closed";
}
