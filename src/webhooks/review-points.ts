import type { Cell } from "../cells/cell.ts";
import { includesRole } from "../cells/cell.ts";
import type { NewItem } from "../cells/registry/items.ts";
import type { Registry } from "../cells/registry/registry.ts";
import { canBeReviewed, type Reviewing } from "../cells/reviewing.ts";
import { wantsDraft } from "../cells/steps/decide.ts";
import type { Clock } from "../clock.ts";
import { standingIn } from "../commands/access/standing-in.ts";
import { isTakenBack } from "../commands/last-words.ts";
import { pointsIn, pointWords } from "../commands/parsing/points.ts";
import { reactJob } from "../commands/posting/answer.ts";
import { nameOf, type Rights } from "../commands/rights.ts";
import type { Forge, LineComment, Person, Review } from "../gitea/port.ts";
import type { Log } from "../log.ts";
import { clean } from "../protocol/agent-text.ts";
import type { Queue } from "../queue/queue.ts";
import { createRedactor } from "../redact.ts";
import { firstBytes } from "../visible.ts";
import type { Reading } from "./read-thread.ts";
import type { SeenEntries } from "./seen-entries.ts";

const MOST_POINTS = 60;
const MOST_HUNK_BYTES = 2 * 1024;
const MOST_PATH_BYTES = 1024;
/** Whoever floods a review with replies costs no more questions than this in one look. */
const MOST_ASKED = 20;

export interface PointDeps {
  readonly forge: Forge;
  readonly registry: Registry;
  readonly reviewing: Reviewing;
  readonly queue: Queue;
  readonly handled: Pick<SeenEntries, "mark" | "isMarked">;
  readonly clock: Clock;
  readonly log: Log;
  readonly rights: Pick<Rights, "standing">;
  readonly config: { readonly secrets: Parameters<typeof createRedactor>[0] };
}

/** What one look found that reviews of a cell's draft ask for, or remark. */
export interface FoundPoints {
  readonly cellId: string;
  readonly items: readonly NewItem[];
  /** Reviews that were looked through, whatever they hold. */
  readonly reviews: readonly Review[];
}

/**
 * What people with write permission ask for in reviews of a cell's own draft, and nobody took down yet. Only
 * a reviewer's own words are points: the list of a review's comments holds replies of anybody.
 */
export async function readPoints(reading: Reading, deps: PointDeps): Promise<FoundPoints | null> {
  const { repository, number, botId } = reading;
  const isItsOwn = (cell: Cell) => cell.repository.id === repository.id && wantsDraft(cell);
  const cell = deps.registry
    .ofPullRequest(repository, number)
    .find((one) => isItsOwn(one) && canBeReviewed(one));
  if (cell === undefined) return null;
  const fresh = reading.reviews.filter((one) => !deps.handled.isMarked(repository.id, "points", one.id));
  const looked = reading.reviews.filter((one) => reading.linesRead.has(one) || fresh.includes(one));
  const asked = askers(cell, deps);
  const items: NewItem[] = [];
  for (const review of looked) {
    const lines = await linesOf(review, reading, deps);
    const isTaken =
      review.author.id !== botId && !isTakenBack(review, reading.reviews) && (await asked.may(review.author));
    const isAsked = review.state === "changes-requested";
    if (isTaken && fresh.includes(review)) items.push(...bodyItems(review, isAsked, deps));
    const said: NewItem[] = [];
    for (const line of lines) {
      const isOwn =
        line.author.id === review.author.id && (review.commentId === null || line.id < review.commentId);
      if (line.author.id === botId || (isOwn ? !isTaken : !(await asked.may(line.author)))) continue;
      const item = inlineItem(line, review, { isAsked: isOwn && isAsked, at: deps.clock.now() });
      if (item !== null) said.push(item);
    }
    items.push(...byPlace(said));
  }
  // Nothing is taken down of what nobody knows the author's right of: the next look asks again.
  return asked.isUnknowable()
    ? null
    : { cellId: cell.id, items: mostOf(items, deps).map(hiding(deps)), reviews: fresh };
}

/** Takes them down; to be called in the transaction that ends the look. */
export function takePoints(found: FoundPoints | null, reading: Reading, deps: PointDeps): void {
  if (found === null) return;
  const { repository } = reading;
  for (const review of found.reviews) deps.handled.mark(repository.id, "points", review.id);
  if (found.items.length === 0) return;
  deps.reviewing.take(
    found.cellId,
    found.items.map((one) => ({ ...one, pull: reading.number })),
  );
  const seen = new Set(found.items.filter((one) => one.kind !== "remark").map((one) => one.commentId));
  for (const commentId of seen) if (commentId > 0) deps.queue.put(reactJob(repository, commentId, "eyes"));
}

/** Whether somebody may have an agent work; asked once for each, and not for more than a few. */
function askers(cell: Cell, deps: PointDeps) {
  const known = new Map<number, boolean>();
  let isUnknowable = false;
  return {
    isUnknowable: () => isUnknowable,
    async may(person: Person): Promise<boolean> {
      const before = known.get(person.id);
      if (before !== undefined) return before;
      if (known.size >= MOST_ASKED) return false;
      const standing = await standingIn(cell, person, deps);
      if (standing.kind === "unknowable") {
        isUnknowable = true;
        const facts = { repository: cell.repository.fullName, why: standing.why };
        deps.log.warn(facts, "whose review counts is not known");
      }
      const may =
        standing.kind === "known" && standing.role !== null && includesRole(standing.role, "executor");
      known.set(person.id, may);
      return may;
    },
  };
}

async function linesOf(review: Review, reading: Reading, deps: PointDeps): Promise<readonly LineComment[]> {
  const read = reading.linesRead.get(review);
  if (read !== undefined) return read ?? [];
  if (review.lineComments === 0) return [];
  return (await deps.forge.lineComments(nameOf(reading.repository), reading.number, review.id)) ?? [];
}

function bodyItems(review: Review, isAsked: boolean, deps: PointDeps): NewItem[] {
  return pointsIn(review.body).map((said, part) => ({
    ...{ kind: isAsked ? ("body" as const) : ("remark" as const), pull: 0, reviewId: review.id },
    ...{ commentId: review.commentId ?? 0, part, author: review.author, said, at: deps.clock.now() },
    ...{ path: "", line: 0, oldLine: 0, commit: review.commit, hunk: "" },
  }));
}

function inlineItem(
  comment: LineComment,
  review: Review,
  { isAsked, at }: { readonly isAsked: boolean; readonly at: number },
): NewItem | null {
  const said = pointWords(comment.body);
  if (said === "" || comment.isResolved) return null;
  return {
    ...{ kind: isAsked ? ("inline" as const) : ("remark" as const), pull: 0, reviewId: review.id },
    ...{ commentId: comment.id, part: 0, author: comment.author, said, at },
    path: firstBytes(clean(comment.path).replaceAll("\n", " "), MOST_PATH_BYTES),
    ...{ line: comment.line, oldLine: comment.oldLine, commit: review.commit },
    hunk: lastLines(clean(comment.hunk)),
  };
}

/** The line that it is about stands at the end of a hunk. */
function lastLines(hunk: string): string {
  const lines = hunk.split("\n");
  while (lines.length > 1 && Buffer.byteLength(lines.join("\n")) > MOST_HUNK_BYTES) lines.shift();
  return firstBytes(lines.join("\n"), MOST_HUNK_BYTES);
}

function byPlace(items: readonly NewItem[]): NewItem[] {
  const order = (a: NewItem, b: NewItem) =>
    (a.path < b.path ? -1 : a.path > b.path ? 1 : 0) ||
    a.line + a.oldLine - (b.line + b.oldLine) ||
    a.commentId - b.commentId;
  return [...items].sort(order);
}

/** An agent is not told what a reviewer pasted that Lazarus knows for a secret. */
function hiding({ config }: Pick<PointDeps, "config">): (item: NewItem) => NewItem {
  const { redact } = createRedactor(config.secrets);
  return (item) => ({ ...item, said: redact(item.said), hunk: redact(item.hunk) });
}

/** Of a flood the first ones; the last of them says how many more there were. */
function mostOf(items: readonly NewItem[], { log }: PointDeps): NewItem[] {
  const left = items.length - MOST_POINTS;
  if (left <= 0) return [...items];
  log.warn({ points: items.length, taken: MOST_POINTS }, "a review asks for more than is taken at once");
  const kept = items.slice(0, MOST_POINTS);
  return kept.map((one, index) => {
    if (index < MOST_POINTS - 1) return one;
    return {
      ...one,
      said: `${one.said}\n\n(${left} more points were not taken: ${MOST_POINTS} are, at once)`,
    };
  });
}
