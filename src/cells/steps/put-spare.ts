import type { Cell } from "../cell.ts";
import { LOCAL_RUNNER } from "../runner-jobs.ts";
import type { StepDeps } from "./deps.ts";

/** Has a tree made that waits for the next cell of this one's repository, in the caller's transaction. */
export function putSpare(
  { config, uids, queue }: Pick<StepDeps, "config" | "uids" | "queue">,
  cell: Cell,
): void {
  const { id: cellId, repository, baseRef: ref, baseCommit: commit, runner } = cell;
  if (config.limits.spares === 0 || !ref.startsWith("refs/heads/")) return;
  // A runner elsewhere knows its own users.
  const next = runner === LOCAL_RUNNER ? uids.forSpare(cellId, repository.id) : { user: null };
  if (next === null) return;
  const payload = { cellId, repository, user: next.user, ref, commit };
  queue.put({ kind: "spare", key: `${cellId}:spare`, lane: `spare:${repository.id}`, payload });
}
