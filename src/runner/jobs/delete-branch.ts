import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { deleteBranch } from "../git/push.ts";
import { note } from "../journal.ts";

/** Removes the branch of an archived cell from the forge. One that people pushed to is left to them. */
export async function deleteBranchOf(
  parts: Parts,
  job: RunnerJob<"delete-branch">,
  signal: AbortSignal,
): Promise<Outcome> {
  const { cellId, repository, branch, tip } = job.payload;
  const plan = { repository, url: parts.mirrors.cloneUrl(repository), branch, tip };
  const deps = { ...parts, askFrom: parts.mirrors.path(repository) };
  const isDeleted = await deleteBranch(deps, plan, signal);
  await note(parts, cellId, { what: isDeleted ? "branch deleted" : "branch left", branch, tip });
  parts.log.info(
    { cell: cellId, branch, tip },
    isDeleted ? "branch deleted" : "branch left: it is not as it was pushed",
  );
  return NOTHING_TO_SAY;
}
