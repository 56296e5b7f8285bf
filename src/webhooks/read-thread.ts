import type { Rights } from "../commands/rights.ts";
import { type Forge, type Person, parseRepositoryName, type Repository } from "../gitea/port.ts";
import type { Log } from "../log.ts";
import type { JobPayload } from "../protocol/jobs.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { SeenEntries } from "./seen-entries.ts";
import type { SeenThread } from "./thread-acts.ts";

/**
 * Comments are asked for from this long before the newest one seen: the forge orders by second, and may
 * commit late.
 */
const OVERLAP_MS = 120_000;
/** One thing somebody wrote that we have not handled: a comment, or the body of a review. */
export interface Entry {
  readonly source: "comment" | "review";
  readonly id: number;
  readonly body: string;
  readonly author: Person;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Reading extends SeenThread {
  readonly entries: readonly Entry[];
  readonly delivered: JobPayload<"thread">["delivered"];
  readonly botLogin: string;
}

/** What is missing when it is looked for. */
export type Missing = { readonly missing: "repository" | "thread" };

export interface ReadingDeps {
  readonly forge: Forge;
  readonly handled: SeenEntries;
  readonly log: Log;
  readonly rights: Pick<Rights, "isServed">;
}

/** Reads what is on a thread and was not read yet, as the forge has it; null where it is none of ours. */
export async function readThread(
  payload: JobPayload<"thread">,
  deps: ReadingDeps,
): Promise<Reading | Missing | null> {
  const { repository, number } = payload;
  const name = parseRepositoryName(repository.fullName);
  if (name === null || !deps.rights.isServed(repository.fullName)) return null;
  const since = deps.handled.servedSince(repository.fullName);
  const from = Math.max(since, deps.handled.readUntil(repository.id, number) - OVERLAP_MS);
  const [found, me] = await Promise.all([deps.forge.repository(name), deps.forge.me()]);
  if (found === null) return { missing: "repository" };
  // What is asked of a renamed repository is answered by an error.
  if (!isSame(found, repository)) {
    deps.log.warn(
      { repository: repository.fullName, id: repository.id, number },
      "a delivery names a repository that is another one now",
    );
    return null;
  }
  const issue = await deps.forge.issue(name, number);
  if (issue === null) return { missing: "thread" };
  // Only now: real servers answer 500 when they are asked for the comments of what is not there.
  const [comments, reviews] = await Promise.all([
    deps.forge.comments(name, number, from),
    issue.isPullRequest ? deps.forge.reviews(name, number) : [],
  ]);
  const entries: Entry[] = [
    ...comments.map((one) => ({ ...one, source: "comment" as const })),
    ...reviews.map((one) => ({
      ...one,
      source: "review" as const,
      createdAt: one.submittedAt,
      updatedAt: one.submittedAt,
    })),
  ];
  entries.sort((a, b) => a.createdAt - b.createdAt || a.id - b.id);
  const bot = { botId: me.id, botLogin: me.login };
  return { repository, number, issue, reviews, entries, ...bot, since, delivered: payload.delivered };
}

function isSame(found: Repository, known: RepositoryRef): boolean {
  return found.id === known.id && found.fullName.toLowerCase() === known.fullName.toLowerCase();
}
