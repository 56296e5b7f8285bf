import type { Renames } from "../cells/renames.ts";
import { settle } from "../commands/access/confirm-repository.ts";
import type { Rights } from "../commands/rights.ts";
import {
  type Forge,
  type LineComment,
  type Person,
  parseRepositoryName,
  type Repository,
  type RepositoryName,
  type Review,
} from "../gitea/port.ts";
import type { Log } from "../log.ts";
import { both } from "../protocol/delivered.ts";
import type { JobPayload } from "../protocol/jobs.ts";
import type { SeenEntries } from "./seen-entries.ts";
import type { SeenThread } from "./thread-acts.ts";
import type { Unlooked } from "./unlooked.ts";

/**
 * Comments are asked for from this long before the newest one seen: the forge orders by second, and may
 * commit late.
 */
const OVERLAP_MS = 120_000;
/**
 * One thing somebody wrote that we have not handled: a comment, the body of a review, or a comment at a line
 * of a diff, which may be a reply.
 */
export interface Entry {
  readonly source: "comment" | "review" | "line";
  readonly id: number;
  readonly body: string;
  readonly author: Person;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Of a review: the comment of it that bears reactions. */
  readonly reactTo?: number | null;
  /** There was more of it than is kept. */
  readonly isCut?: boolean;
}

export interface Reading extends SeenThread {
  /** Reviews whose comments at lines were read now, and these; null: they are too large to be read. */
  readonly linesRead: ReadonlyMap<Review, readonly LineComment[] | null>;
  readonly entries: readonly Entry[];
  readonly delivered: JobPayload<"thread">["delivered"];
  readonly botLogin: string;
  /** The repository as the forge has it now. */
  readonly where: { readonly name: RepositoryName; readonly repository: Repository };
  /** When something was written that is too large to be read (epoch ms, the forge's clock). */
  readonly skipped: readonly number[];
}

/** What is missing when it is looked for. */
export type Missing = { readonly missing: "repository" | "thread" };

export interface ReadingDeps {
  /** What comments said from whose making no look followed. */
  readonly unlooked?: Pick<Unlooked, "of">;
  readonly forge: Forge;
  readonly handled: SeenEntries;
  readonly log: Log;
  readonly rights: Pick<Rights, "isServed">;
  readonly renames: Pick<Renames, "found" | "lost">;
}

/** Reads what is on a thread and was not read yet, as the forge has it; null where it is none of ours. */
export async function readThread(
  payload: JobPayload<"thread">,
  deps: ReadingDeps,
): Promise<Reading | Missing | null> {
  const { number, repository: told } = payload;
  const known = parseRepositoryName(told.fullName);
  if (known === null || !deps.rights.isServed(told.fullName)) return null;
  const [found, me] = await Promise.all([deps.forge.recentRepository(known), deps.forge.me()]);
  if (found === null) return { missing: "repository" };
  // Only where the name leads to it: a delivery may hold any id, and was signed for its name alone.
  const located = found.id === told.id ? settle(told, found, deps) : null;
  if (located?.kind !== "here") {
    const facts = { repository: told.fullName, id: told.id, number, why: located?.why };
    deps.log.warn(facts, "a delivery names a repository that is another one now");
    return null;
  }
  const { name } = located;
  const repository = { id: found.id, fullName: found.fullName };
  const since = deps.handled.servedSince(repository.fullName);
  const from = Math.max(since, deps.handled.readUntil(repository.id, number) - OVERLAP_MS);
  const issue = await deps.forge.issue(name, number);
  if (issue === null) return { missing: "thread" };
  // Only now: real servers answer 500 when they are asked for the comments of what is not there.
  const [comments, reviews] = await Promise.all([
    deps.forge.comments(name, number, from),
    issue.isPullRequest ? deps.forge.reviews(name, number) : [],
  ]);
  const linesRead = new Map<Review, readonly LineComment[] | null>();
  const skipped = [...comments.skipped];
  for (const review of reviews) {
    if (review.lineComments === deps.handled.linesRead(repository.id, review.id)) continue;
    const found = await deps.forge.lineComments(name, number, review.id);
    if (found === null) skipped.push(review.submittedAt);
    linesRead.set(review, found);
  }
  const lines = [...linesRead.values()].flatMap((found) => found ?? []);
  const entries: Entry[] = [
    ...lines.map((one) => ({ ...one, source: "line" as const })),
    ...comments.entries.map((one) => ({ ...one, source: "comment" as const })),
    ...reviews.map((one) => ({
      ...one,
      source: "review" as const,
      reactTo: one.commentId,
      createdAt: one.submittedAt,
      updatedAt: one.submittedAt,
    })),
  ];
  entries.sort((a, b) => a.createdAt - b.createdAt || a.id - b.id);
  const bot = { botId: me.id, botLogin: me.login };
  return {
    repository,
    number,
    issue,
    reviews,
    linesRead,
    entries,
    ...bot,
    since,
    where: { name, repository: found },
    delivered: both(deps.unlooked?.of(payload) ?? {}, payload.delivered),
    skipped,
  };
}
