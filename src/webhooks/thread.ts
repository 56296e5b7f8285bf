import { sha256 } from "../cells/brief.ts";
import type { Lifecycle } from "../cells/lifecycle.ts";
import type { Registry } from "../cells/registry.ts";
import type { Clock } from "../clock.ts";
import { answerRefusal } from "../commands/answer.ts";
import type { Parsed } from "../commands/parse.ts";
import { problemReply } from "../commands/problem.ts";
import { replies } from "../commands/replies.ts";
import type { Db } from "../db.ts";
import { findMarker } from "../gitea/markdown.ts";
import {
  type Forge,
  type Person,
  parseRepositoryName,
  type Repository,
  type RepositoryName,
} from "../gitea/port.ts";
import type { Log } from "../log.ts";
import type { JobPayload } from "../queue/jobs.ts";
import type { Finish, Handlers, NewJob, Queue } from "../queue/queue.ts";
import type { Asker, RepositoryRef } from "../queue/shapes.ts";
import type { Handled } from "./handled.ts";

/** Comments are asked for from this long before the newest one seen: the forge orders by second, and may commit late. */
const OVERLAP_MS = 120_000;
/** Creation and update of an untouched comment may straddle a second. */
const UNTOUCHED_MS = 1_000;

type Delivered = JobPayload<"thread">["delivered"];

/** A job that looks at one thread; one that still waits is folded with it, its hashes kept. */
export function threadTick(
  thread: { repository: RepositoryRef; number: number },
  delivered: Delivered,
): NewJob<"thread"> {
  const lane = `thread:${thread.repository.id}#${thread.number}`;
  return {
    kind: "thread",
    key: crypto.randomUUID(),
    lane,
    payload: {
      repository: { id: thread.repository.id, fullName: thread.repository.fullName },
      number: thread.number,
      delivered,
    },
    merge: {
      tag: lane,
      fold: (waiting, fresh) => ({ ...fresh, delivered: { ...waiting.delivered, ...fresh.delivered } }),
    },
    maxAttempts: 300,
  };
}

export interface ThreadDeps {
  readonly forge: Forge;
  readonly db: Db;
  readonly queue: Queue;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly handled: Handled;
  readonly clock: Clock;
  readonly log: Log;
  isServed(fullName: string): boolean;
  parse(text: string): Parsed[];
}

/** One thing somebody wrote that we have not handled: a comment, or the body of a review. */
interface Entry {
  readonly source: "comment" | "review";
  readonly id: number;
  readonly body: string;
  readonly author: Person;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface Reading {
  readonly repository: RepositoryRef;
  readonly number: number;
  readonly entries: readonly Entry[];
  readonly botId: number;
  /** What is older was never meant for us (the forge's clock). */
  readonly since: number;
  readonly delivered: Delivered;
}

/**
 * Handler of `thread` jobs. A delivery only said where to look: what is new there is read from the forge, oldest first, and each
 * comment is marked as handled in the transaction that makes its jobs.
 */
export function createThreadHandler(deps: ThreadDeps): Pick<Handlers, "thread"> {
  return {
    async thread(job): Promise<Finish | undefined> {
      const reading = await read(job.payload, deps);
      if (reading === null) return undefined;
      const gone = await withdrawnCells(reading, deps);
      return () => {
        for (const entry of reading.entries) handle(entry, reading, deps);
        for (const cellId of gone) withdraw(cellId, deps);
        const newest = Math.max(0, ...reading.entries.map((entry) => entry.updatedAt));
        deps.handled.rememberReadUntil(reading.repository.id, reading.number, newest);
      };
    },
  };
}

async function read(payload: JobPayload<"thread">, deps: ThreadDeps): Promise<Reading | null> {
  const { repository, number } = payload;
  const name = parseRepositoryName(repository.fullName);
  if (name === null || !deps.isServed(repository.fullName)) return null;
  const since = deps.handled.servedSince(repository.fullName);
  const from = Math.max(since, deps.handled.readUntil(repository.id, number) - OVERLAP_MS);
  const [found, me] = await Promise.all([deps.forge.repository(name), deps.forge.me()]);
  // Only where it is the one: what is asked of a renamed repository is answered by an error.
  const issue = found !== null && isSame(found, repository) ? await deps.forge.issue(name, number) : null;
  if (issue === null) {
    deps.log.warn(
      { repository: repository.fullName, id: repository.id, number },
      "a delivery names what the forge does not have",
    );
    return null;
  }
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
  return { repository, number, entries, botId: me.id, since, delivered: payload.delivered };
}

function isSame(found: Repository, known: RepositoryRef): boolean {
  return found.id === known.id && found.fullName.toLowerCase() === known.fullName.toLowerCase();
}

function handle(entry: Entry, reading: Reading, deps: ThreadDeps): void {
  if (entry.createdAt < reading.since) return;
  if (!deps.handled.mark(reading.repository.id, entry.source, entry.id)) return;
  if (entry.author.id === reading.botId || findMarker(entry.body) !== null) return;
  const edited = wasEdited(entry, reading.delivered);
  if (edited === "silently") return;
  if (edited === "command") {
    answerRefusal(
      askerOf(entry, reading, 0),
      { kind: "refused", code: "refused", reply: replies.editedBeforeRead() },
      deps,
    );
    return;
  }
  const parsed = deps.parse(entry.body);
  if (parsed.length === 0) return;
  deps.log.info(
    {
      thread: `${reading.repository.fullName}#${reading.number}`,
      by: entry.author.login,
      commands: parsed.length,
    },
    "commands read",
  );
  if (entry.source === "comment") putEyes(entry, reading, deps);
  for (const [index, one] of parsed.entries()) putCommand(one, { entry, reading, index }, deps);
}

/** A text that is not what its delivery held is not run; without a delivery, one that was touched after it was made. */
function wasEdited(entry: Entry, delivered: Delivered): "no" | "command" | "silently" {
  const seen = entry.source === "comment" ? delivered[String(entry.id)] : undefined;
  if (seen === undefined) return entry.updatedAt - entry.createdAt > UNTOUCHED_MS ? "silently" : "no";
  if (seen.body === sha256(entry.body)) return "no";
  return seen.hadCommand ? "command" : "silently";
}

function askerOf(entry: Entry, reading: Reading, index: number): Extract<Asker, { via: "forge" }> {
  return {
    via: "forge",
    repository: reading.repository,
    number: reading.number,
    source: entry.source,
    sourceId: entry.id,
    index,
    person: { id: entry.author.id, login: entry.author.login },
  };
}

function putEyes(entry: Entry, reading: Reading, deps: Pick<ThreadDeps, "queue">): void {
  deps.queue.put({
    kind: "react",
    key: `react:${reading.repository.id}:comment:${entry.id}:eyes`,
    lane: `react:${reading.repository.id}:${entry.id}`,
    payload: { repository: reading.repository, commentId: entry.id, reaction: "eyes" },
    maxAttempts: 20,
  });
}

function putCommand(
  parsed: Parsed,
  at: { entry: Entry; reading: Reading; index: number },
  deps: ThreadDeps,
): void {
  const asker = askerOf(at.entry, at.reading, at.index);
  if (parsed.kind === "problem") {
    answerRefusal(asker, { kind: "refused", code: "usage", reply: problemReply(parsed.problem) }, deps);
    return;
  }
  deps.queue.put({
    kind: "command",
    key: `${at.reading.repository.id}:${at.entry.source}:${at.entry.id}:${at.index}`,
    lane: `thread:${at.reading.repository.id}#${at.reading.number}`,
    payload: {
      asker,
      verb: parsed.verb,
      words: [...parsed.words],
      flags: parsed.flags,
      text: parsed.text,
      issueHash:
        (at.entry.source === "comment" ? at.reading.delivered[String(at.entry.id)]?.issue : null) ?? null,
    },
    maxAttempts: 60,
  });
}

/** Cells that wait, whose asking comment is gone. */
async function withdrawnCells(reading: Reading, deps: ThreadDeps): Promise<string[]> {
  const name = parseRepositoryName(reading.repository.fullName) as RepositoryName;
  const gone: string[] = [];
  for (const cell of deps.registry.ofThread(reading.repository.id, reading.number)) {
    if (cell.state !== "proposed" || cell.askedInComment === null) continue;
    if (deps.registry.lastRun(cell.id)?.state !== "waiting") continue;
    if ((await deps.forge.comment(name, cell.askedInComment)) === null) gone.push(cell.id);
  }
  return gone;
}

function withdraw(cellId: string, deps: Pick<ThreadDeps, "registry" | "lifecycle">): void {
  const cell = deps.registry.cell(cellId);
  const run = deps.registry.lastRun(cellId);
  if (cell?.state !== "proposed" || run?.state !== "waiting") return;
  deps.lifecycle.withdraw(cell, run, {
    who: cell.requester.login,
    why: replies.withdrawn(),
    outcome: "discarded",
  });
}
