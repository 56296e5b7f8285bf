import { pastOrNever } from "../../cells/card-shown.ts";
import { CALM_MS, stepJobs } from "../../cells/steps/step-jobs.ts";
import { LazarusError } from "../../errors.ts";
import { marker, md, raw } from "../../gitea/markdown.ts";
import { sha256 } from "../../hash.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { cardMarker, renderCalmCard, renderCard } from "../words/card.ts";
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

/** A card is edited no more often than this, whatever happens. */
const GATHER_MS = 1_500;

/** It may be there, whatever the answer was. */
const ATTEMPTED = { text: "", calm: "", wordsAt: 0, at: 0 };

function createCardHandler(
  deps: PostDeps,
): (job: Job<"card">, context: JobContext) => Promise<Finish | undefined> {
  return async (job) => {
    const { cellId } = job.payload;
    const cell = deps.registry.cell(cellId);
    if (cell === null) return undefined;
    const calm = sha256(renderCalmCard(cell, deps).text);
    const commentId = cell.cardId;
    const before = commentId === null || isPlanToShow(cell, deps) ? null : cell.cardShown;
    const text = sha256(renderCard(cell, deps).text);
    // Nothing is asked of the forge for a card that stays as it is.
    if (before?.text === text) return undefined;
    const now = deps.clock.now();
    // What follows from one another within moments is one edit.
    const gatheredAt = pastOrNever(before?.at ?? 0, now) + GATHER_MS;
    if (now < gatheredAt) return () => void deps.queue.put(stepJobs.card(cellId, gatheredAt));
    if (before?.calm === calm && now < pastOrNever(before.wordsAt, now) + CALM_MS)
      return () => deps.steps.cardSoon(cellId);
    const name = await confirm(cell.repository, deps);
    // Its repository may have been found under a new name just now.
    const body = renderCard(deps.registry.mustCell(cellId), deps);
    const wordsAt = text === calm ? (before?.wordsAt ?? 0) : now;
    const cardShown = { text: sha256(body.text), calm, wordsAt, at: now };
    if (commentId !== null && (await editOwn(commentId, { name, body }, deps.forge))) {
      const plan = await planShown(cell, { name, commentId }, deps);
      return () => {
        deps.registry.update(cellId, { cardShown });
        plan?.();
      };
    }
    const proposal = deps.registry.proposals.ofCell(cellId);
    // Where its issue is gone there is no place for it.
    if (proposal !== null && (await deps.forge.issue(name, cell.number)) === null) return undefined;
    // Before the first attempt nothing of it can be there.
    if (cell.cardShown === null && proposal === null) {
      deps.registry.update(cellId, { cardShown: ATTEMPTED });
      const posted = await deps.forge.postComment(name, cell.number, body);
      return () => deps.registry.update(cellId, { cardId: posted.id, cardShown });
    }
    // The comment that told what was in the way of a proposal is its card now.
    const markers = [cardMarker(cell.id), ...(proposal === null ? [] : [proposalMarker(proposal)])];
    const since = proposal?.createdAt ?? cell.createdAt;
    const id = await findOrPost({ name, number: cell.number, since }, { body, markers }, deps.forge);
    const note = await planShown(cell, { name, commentId: id }, deps);
    return () => {
      deps.registry.update(cellId, { cardId: id, cardShown });
      note?.();
    };
  };
}
