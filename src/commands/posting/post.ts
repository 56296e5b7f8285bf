import type { Registry } from "../../cells/registry/registry.ts";
import type { Clock } from "../../clock.ts";
import { LazarusError } from "../../errors.ts";
import { findMarker, type Markdown, marker, md, raw } from "../../gitea/markdown.ts";
import type { Comment, Forge, RepositoryName } from "../../gitea/port.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import type { Deps } from "../command.ts";
import { cardMarker, renderCard } from "../words/card.ts";
import { createAnswersHandler } from "./post-answers.ts";
import { createDraftHandlers } from "./post-draft.ts";
import { createMergeHandler } from "./post-merge.ts";
import { createStatusesHandler } from "./post-statuses.ts";

/** Comments this much older than the cell are not looked at when a card is searched: clocks differ. */
const CLOCK_TOLERANCE_MS = 24 * 60 * 60_000;

/**
 * Handlers of the `replies` queue: everything that is written to the forge. Nothing is posted a second time
 * before its marker was looked for, since real servers store a comment and then answer 500.
 */
export function createReplyHandlers(
  deps: PostDeps,
): Pick<
  Handlers,
  "card" | "react" | "comment" | "draft" | "review" | "unpublish" | "answers" | "merge" | "statuses"
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
    if ((await findByMarker(payload.marker, { name, number: payload.number, since }, deps.forge)).length > 0)
      return undefined;
  }
  context.note({ attempted: true });
  await deps.forge.postComment(name, payload.number, md`${mark}\n${raw(payload.text)}`);
  return undefined;
}

/** The bot's own comments with this marker in their first line, oldest first. */
async function findByMarker(
  name: string,
  at: { name: RepositoryName; number: number; since: number },
  forge: Forge,
): Promise<Comment[]> {
  const [me, comments] = await Promise.all([forge.me(), forge.comments(at.name, at.number, at.since)]);
  return comments.entries.filter((one) => one.author.id === me.id && findMarker(one.body) === name);
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
    const card = renderCard(cell, deps);
    if (cell.cardId !== null) {
      if (shown.get(cellId) === card.text) return undefined;
      if (await edit(cell.cardId, { name, card }, deps.forge)) {
        shown.set(cellId, card.text);
        return undefined;
      }
    }
    const id = await findOrPost(cell, { name, card }, deps);
    shown.set(cellId, card.text);
    return () => deps.registry.update(cellId, { cardId: id });
  };
}

/** False where the card is gone: somebody deleted it. */
async function edit(
  cardId: number,
  what: { name: RepositoryName; card: Markdown },
  forge: Forge,
): Promise<boolean> {
  try {
    await forge.editComment(what.name, cardId, what.card);
    return true;
  } catch (error) {
    if (!(error instanceof LazarusError) || error.code !== "forge-refused") throw error;
    if ((await forge.comment(what.name, cardId)) !== null) throw error;
    return false;
  }
}

async function findOrPost(
  cell: { id: string; number: number; createdAt: number },
  what: { name: RepositoryName; card: Markdown },
  deps: Pick<PostDeps, "forge">,
): Promise<number> {
  const since = cell.createdAt - CLOCK_TOLERANCE_MS;
  const wanted = findMarker(cardMarker(cell.id).text) ?? "";
  const [oldest, ...doubles] = await findByMarker(
    wanted,
    { name: what.name, number: cell.number, since },
    deps.forge,
  );
  if (oldest === undefined) return (await deps.forge.postComment(what.name, cell.number, what.card)).id;
  await deps.forge.editComment(what.name, oldest.id, what.card);
  for (const double of doubles) await deps.forge.deleteComment(what.name, double.id);
  return oldest.id;
}

/** Puts cards of cells at work up to date now and then: how long they run is on them. */
export function refreshCards(deps: {
  registry: Registry;
  clock: Clock;
  steps: Pick<Deps["steps"], "cardSoon">;
}): void {
  for (const cell of deps.registry.list(["active"])) deps.steps.cardSoon(cell.id);
}
