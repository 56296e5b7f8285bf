import type { Cell } from "../../cells/cell.ts";
import { md } from "../../gitea/markdown.ts";
import type { RepositoryName } from "../../gitea/port.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import type { Finish, Handlers } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { proposalMarker, proposalText } from "../words/proposal-words.ts";
import { editOwn, findOrPost } from "./own-comment.ts";

/**
 * Handler of `proposal` jobs: the one comment on a proposal, which says what is in the way and follows each
 * edit. As soon as there is a plan it is the card of a cell, and no longer ours to write. It renders what is
 * true when it is sent.
 */
export function createProposalHandler(deps: PostDeps): Pick<Handlers, "proposal"> {
  return { proposal: async ({ payload }) => post(payload, deps) };
}

async function post(
  { repository, number }: JobPayload<"proposal">,
  deps: PostDeps,
): Promise<Finish | undefined> {
  const proposal = deps.registry.proposals.of(repository.id, number);
  if (proposal === null || deps.registry.cell(proposal.cellId) !== null) return undefined;
  const name = await confirm(proposal.repository, deps);
  const markers = [proposalMarker(proposal)];
  const body = md`${proposalMarker(proposal)}\n${proposalText(proposal, deps.config.limits.proposals)}`;
  const { commentId, createdAt } = proposal;
  if (commentId !== null && (await editOwn(commentId, { name, body }, deps.forge))) return undefined;
  if ((await deps.forge.issue(name, number)) === null) return undefined;
  const id = await findOrPost({ name, number, since: createdAt }, { body, markers }, deps.forge);
  return () => deps.registry.proposals.change(proposal, { commentId: id });
}

/**
 * Since when people can read a plan, by the forge's own clock: told from its comment once it was edited.
 * Null: that is written down, or it is no plan.
 */
export async function planShown(
  cell: Cell,
  at: { readonly name: RepositoryName; readonly commentId: number },
  deps: PostDeps,
): Promise<Finish | null> {
  const proposal = isPlanToShow(cell, deps) ? deps.registry.proposals.ofCell(cell.id) : null;
  if (proposal === null) return null;
  const comment = await deps.forge.comment(at.name, at.commentId);
  if (comment === null) return null;
  return () =>
    deps.registry.proposals.change(proposal, {
      shownSha256: cell.briefSha256,
      shownAt: comment.updatedAt,
    });
}

/** Whether a cell's card shows a plan of which nobody has written down since when it does. */
export function isPlanToShow(cell: Cell, { registry }: Pick<PostDeps, "registry">): boolean {
  if (cell.state !== "proposed" || !cell.waitsForApproval) return false;
  const proposal = registry.proposals.ofCell(cell.id);
  return proposal?.state === "planned" && proposal.shownSha256 !== cell.briefSha256;
}
