import type { Cell } from "./cell.ts";
import type { Registry } from "./registry/registry.ts";
import type { Thread } from "./registry/unasked.ts";

/** The threads of a cell: where its card is, and its own pull request. */
export function threadsOf(cell: Pick<Cell, "repository" | "number" | "pullRequest">): Thread[] {
  const { repository, number, pullRequest } = cell;
  const numbers = pullRequest === null ? [number] : [number, pullRequest];
  return [...new Set(numbers)].map((one) => ({ repository, number: one }));
}

/** The first of a cell's threads that is quiet, and since when (epoch ms); null: none is. */
export function quietIn(
  cell: Pick<Cell, "repository" | "number" | "pullRequest">,
  { unasked }: Pick<Registry, "unasked">,
): { readonly number: number; readonly since: number } | null {
  for (const thread of threadsOf(cell)) {
    const since = unasked.quietSince(thread);
    if (since !== null) return { number: thread.number, since };
  }
  return null;
}

/** Whether nothing starts by itself in a cell, since one of its threads is quiet. */
export function isQuiet(
  cell: Pick<Cell, "repository" | "number" | "pullRequest">,
  registry: Pick<Registry, "unasked">,
): boolean {
  return quietIn(cell, registry) !== null;
}

/** Whether a thread is quiet, or another one of its cells is. */
export function hasQuiet(
  thread: Thread,
  registry: Pick<Registry, "unasked" | "ofThread" | "ofPullRequest">,
): boolean {
  if (registry.unasked.quietSince(thread) !== null) return true;
  const { repository, number } = thread;
  const cells = [...registry.ofThread(repository.id, number), ...registry.ofPullRequest(repository, number)];
  return cells.some((cell) => isQuiet(cell, registry));
}
