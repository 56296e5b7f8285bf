import type { Cell } from "../../cells/cell.ts";
import { issueHash } from "../../hash.ts";
import { confirmed } from "../access/confirm-repository.ts";
import type { Deps } from "../command.ts";
import { lookAtProposal } from "./look-at-proposal.ts";

const GONE = { who: "lazarus", why: "withdrawn: its issue was deleted" };

/**
 * What follows where a proposal that was approved, and waited for its place since, reads otherwise now: it is
 * asked about again. Null: it is what was approved, or no proposal.
 */
export async function editedProposal(cell: Cell, deps: Deps): Promise<(() => void) | null> {
  const proposal = cell.state === "proposed" ? deps.registry.proposals.ofCell(cell.id) : null;
  if (proposal === null) return null;
  const { name, repository } = await confirmed(cell.repository, deps);
  const issue = await deps.forge.issue(name, cell.number);
  const { author, cellId } = proposal;
  const filed = { repository: cell.repository, number: cell.number, author, cellId };
  if (issue === null) return () => deps.proposing.close(filed, GONE, { isAdmitting: true });
  if (issueHash(issue.title, issue.body) === proposal.readSha256) return null;
  const looked = await lookAtProposal({ name, repository, issue, cellId }, deps);
  return () => deps.proposing.take(filed, looked, { isAdmitting: true });
}
