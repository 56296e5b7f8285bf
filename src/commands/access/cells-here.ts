import type { Cell } from "../../cells/cell.ts";
import { isIn } from "../../cells/registry/is-in.ts";
import type { Deps, Origin } from "../command.ts";

type Thread = NonNullable<Origin["thread"]>;

/**
 * The cells of a thread that are not destroyed, oldest first: those that work on it, and those whose draft it
 * is.
 */
export function cellsHere(thread: Thread, deps: Pick<Deps, "registry">): Cell[] {
  const { repository, number } = thread;
  const all = [
    ...deps.registry.ofThread(repository.id, number),
    ...deps.registry.ofPullRequest(repository, number),
  ];
  const byId = new Map(all.map((cell) => [cell.id, cell]));
  return [...byId.values()]
    .filter((cell) => cell.state !== "destroyed")
    .sort((a, b) => a.createdAt - b.createdAt);
}

/**
 * Cells that match a prefix and belong to the thread's repository, or to the thread itself (all, for the
 * operator).
 */
export function reachable(prefix: string, origin: Origin, deps: Pick<Deps, "registry">): Cell[] {
  const cells = deps.registry.withPrefix(prefix);
  if (origin.isOperator) return cells;
  const { thread } = origin;
  if (thread === null) return [];
  return cells.filter(
    (cell) =>
      cell.repository.id === thread.repository.id ||
      // A cell's draft may stand in another repository than its target: a fork's.
      (cell.pullRequest === thread.number && isIn(cell, thread.repository)),
  );
}
