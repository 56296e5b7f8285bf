import type { Cell } from "../../cells/cell.ts";
import type { Item } from "../../cells/registry/items.ts";
import { findMarker, type Markdown } from "../../gitea/markdown.ts";
import type { Forge, PullRequest, RepositoryName } from "../../gitea/port.ts";
import type { Finish, Handlers, Job, JobContext } from "../../queue/queue.ts";
import { confirm, type PostDeps } from "../access/confirm-repository.ts";
import { answerAtLine, answerMarker, answersBody, answersMarker } from "../words/answer-words.ts";
import { checksOfAnswer } from "../words/check-words.ts";
import { DRAFT } from "../words/draft-text.ts";
import { reactJob } from "./answer.ts";

/** The draft that is answered on. */
interface Place {
  readonly cell: Cell;
  readonly name: RepositoryName;
  readonly number: number;
  readonly forge: Forge;
}

/**
 * Handler of what agents answered to reviews: each at its line, one post with a table, a reaction on each
 * point, and a request for another review. Nothing is posted a second time before its marker was looked for.
 */
export function createAnswersHandler(deps: PostDeps): Pick<Handlers, "answers"> {
  return { answers: (job, context) => postAnswers(job, context, deps) };
}

async function postAnswers(
  job: Job<"answers">,
  context: JobContext,
  deps: PostDeps,
): Promise<Finish | undefined> {
  const { cellId, turn } = job.payload;
  const cell = deps.registry.cell(cellId);
  const items = deps.registry.items.ofTurn(cellId, turn).filter((item) => item.isAnswerDue);
  const [first] = items;
  if (cell === null || cell.state === "destroyed" || first === undefined) return undefined;
  const name = await confirm(cell.repository, deps);
  const pull = await deps.forge.pullRequest(name, first.pull);
  if (pull === null) return () => deps.registry.items.posted(cellId, turn);
  const at = { cell, name, number: first.pull, forge: deps.forge };
  const isDraft = pull.isOpen && pull.title.startsWith(DRAFT);
  const run = deps.registry.runs(cellId).find((one) => one.turn === turn);
  const checks = checksOfAnswer(cell, deps.steps.checks.results(cell));
  const body = answersBody({ cell, agent: run?.agent ?? cell.agent, turn, items, isDraft, checks });
  const isRetry = job.notes.attempted === true;
  if (!isRetry || !(await isPosted(at, answersMarker(cell, turn)))) {
    context.note({ attempted: true });
    if (await repliedAtLines(at, items)) await deps.forge.postComment(name, at.number, body);
    else await postReview(at, { pull, body, items });
  }
  return () => {
    deps.registry.items.posted(cellId, turn);
    for (const [commentId, reaction] of reactionsTo(items))
      deps.queue.put(reactJob(cell.repository, commentId, reaction));
    if (isDraft) askAgain(cell, { turn, items }, deps);
  };
}

/** Whether a post of ours bears the marker: as a review, or as a comment. */
async function isPosted({ name, number, forge }: Place, mark: Markdown): Promise<boolean> {
  const wanted = findMarker(mark.text);
  const [me, reviews, comments] = await Promise.all([
    forge.me(),
    forge.reviews(name, number),
    forge.comments(name, number),
  ]);
  const posts = [...reviews, ...comments.entries];
  return posts.some((one) => one.author.id === me.id && findMarker(one.body) === wanted);
}

/**
 * Answers each point in the conversation that it began, where the forge has a call for that (Forgejo). False
 * where it has none, or nothing was asked at a line.
 */
async function repliedAtLines(
  { cell, name, number, forge }: Place,
  items: readonly Item[],
): Promise<boolean> {
  const atLines = items.filter((item) => item.path !== "");
  if (atLines.length === 0) return false;
  const me = await forge.me();
  for (const reviewId of new Set(atLines.map((item) => item.reviewId))) {
    const there = (await forge.lineComments(name, number, reviewId)) ?? [];
    const marks = new Set(there.filter((one) => one.author.id === me.id).map((one) => findMarker(one.body)));
    for (const item of atLines.filter((one) => one.reviewId === reviewId)) {
      if (marks.has(findMarker(answerMarker(cell, item).text))) continue;
      const { path, line, oldLine } = item;
      const reply = { reviewId, path, line, oldLine, body: answerAtLine(cell, item) };
      if (!(await forge.replyAtLine(name, number, reply))) return false;
    }
  }
  return true;
}

/** One review with all answers, each where its line is now: there the forge shows what was changed. */
async function postReview(
  { cell, name, number, forge }: Place,
  what: { readonly pull: PullRequest; readonly body: Markdown; readonly items: readonly Item[] },
): Promise<void> {
  const comments = what.items.flatMap((item) => {
    const line = item.oldLine > 0 ? 0 : item.nowLine;
    if (item.path === "" || line === null || (line === 0 && item.oldLine === 0)) return [];
    return [{ path: item.path, line, oldLine: item.oldLine, body: answerAtLine(cell, item) }];
  });
  await forge.dropPending(name, number);
  await forge.postReview(name, number, { body: what.body, comments });
}

/** What each comment is told by a reaction: all of it is done, or something of it has no answer. */
function reactionsTo(items: readonly Item[]): [number, "rocket" | "confused"][] {
  const byComment = new Map<number, Item[]>();
  for (const item of items)
    if (item.commentId > 0) byComment.set(item.commentId, [...(byComment.get(item.commentId) ?? []), item]);
  return [...byComment].flatMap(([commentId, of]): [number, "rocket" | "confused"][] => {
    if (of.some((item) => item.verdict === null)) return [[commentId, "confused"]];
    return of.every((item) => item.foundCommit !== null && item.verdict === "done")
      ? [[commentId, "rocket"]]
      : [];
  });
}

/** Whoever asked is asked to look again, as long as the draft's own mark keeps it from being merged. */
function askAgain(
  cell: Cell,
  { turn, items }: { readonly turn: number; readonly items: readonly Item[] },
  deps: PostDeps,
): void {
  for (const login of new Set(items.map((item) => item.author.login)))
    deps.queue.put({
      kind: "review",
      key: `${cell.id}:${turn}:again:${login}`,
      lane: `review:${cell.id}`,
      payload: { cellId: cell.id, again: login },
    });
}
