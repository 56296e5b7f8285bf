import type { Registry } from "../../cells/registry/registry.ts";
import type { Clock } from "../../clock.ts";
import { LazarusError } from "../../errors.ts";
import { marker, md, raw } from "../../gitea/markdown.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import type { Deps } from "../command.ts";
import { cardMarker, renderCard } from "../words/card.ts";
import { proposalMarker } from "../words/proposal-words.ts";
import { CLOCK_TOLERANCE_MS, editOwn, findByMarker, findOrPost } from "./own-comment.ts";
import { createAnswersHandler } from "./post-answers.ts";
import { createDraftHandlers } from "./post-draft.ts";
import { createMergeHandler } from "./post-merge.ts";
import { createProposalHandler, isPlanToShow, planShown } from "./post-proposal.ts";
import { createStatusesHandler } from "./post-statuses.ts";

/**
 * Handlers of the `replies` queue: everything that is written to the forge. Nothing is posted a second time
 * before its marker was looked for, since real servers store a comment and then answer 500.
 */
export function createReplyHandlers(
  deps: PostDeps,
): Pick<
  Handlers,
  | "card"
  | "proposal"
  | "react"
  | "comment"
  | "draft"
  | "review"
  | "unpublish"
  | "answers"
  | "merge"
  | "statuses"
> {
  return {
    card: createCardHandler(deps),
    react: async (job) => {
      const name = await confirm(job.payload.repository, deps);
      await tolerate(["forge-refused"], () =>
        deps.forge.react(name, job.payload.commentId, job.payload.reaction),
      );
      return undefined;
    },
    comment: (job, context) => postOnce(job, context, deps),
    ...createProposalHandler(deps),
    ...createDraftHandlers(deps),
    ...createAnswersHandler(deps),
    ...createMergeHandler(deps),
    ...createStatusesHandler(deps),
  };
}

/** Runs `call`, taking errors of some kinds as an answer: a deleted comment cannot bear a reaction. */
async function tolerate(codes: readonly string[], call: () => Promise<void>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof LazarusError) || error.retryable || !codes.includes(error.code)) throw error;
  }
}

async function postOnce(job: Job<"comment">, context: JobContext, deps: PostDeps): Promise<undefined> {
  const { payload } = job;
  const name = await confirm(payload.repository, deps);
  const mark = marker(payload.marker);
  if (job.notes.attempted === true) {
    const since = job.putAt - CLOCK_TOLERANCE_MS;
    if ((await findByMarker([mark], { name, number: payload.number, since }, deps.forge)).length > 0)
      return undefined;
  }
  context.note({ attempted: true });
  await deps.forge.postComment(name, payload.number, md`${mark}\n${raw(payload.text)}`);
  return undefined;
}

function createCardHandler(
  deps: PostDeps,
): (job: Job<"card">, context: JobContext) => Promise<Finish | undefined> {
  const shown = new Map<string, string>();
  return async (job) => {
    const { cellId } = job.payload;
    const cell = deps.registry.cell(cellId);
    if (cell === null) return undefined;
    const name = await confirm(cell.repository, deps);
    const body = renderCard(cell, deps);
    const commentId = cell.cardId;
    if (commentId !== null) {
      if (shown.get(cellId) === body.text && !isPlanToShow(cell, deps)) return undefined;
      if (await editOwn(commentId, { name, body }, deps.forge)) {
        shown.set(cellId, body.text);
        return (await planShown(cell, { name, commentId }, deps)) ?? undefined;
      }
    }
    const proposal = deps.registry.proposals.ofCell(cellId);
    // Where its issue is gone there is no place for it.
    if (proposal !== null && (await deps.forge.issue(name, cell.number)) === null) return undefined;
    // The comment that told what was in the way of a proposal is its card now.
    const markers = [cardMarker(cell.id), ...(proposal === null ? [] : [proposalMarker(proposal)])];
    const since = proposal?.createdAt ?? cell.createdAt;
    const id = await findOrPost({ name, number: cell.number, since }, { body, markers }, deps.forge);
    shown.set(cellId, body.text);
    const note = await planShown(cell, { name, commentId: id }, deps);
    return () => {
      deps.registry.update(cellId, { cardId: id });
      note?.();
    };
  };
}

/** Puts cards of cells at work up to date now and then: how long they run is on them. */
export function refreshCards(deps: {
  registry: Registry;
  clock: Clock;
  steps: Pick<Deps["steps"], "cardSoon">;
}): void {
  for (const cell of deps.registry.list(["active"])) deps.steps.cardSoon(cell.id);
}
