import type { Clock } from "../../clock.ts";
import type { Markdown } from "../../gitea/markdown.ts";
import { sha256 } from "../../hash.ts";
import type { Asker, ForgeAsker } from "../../protocol/asker.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { NewJob, Queue } from "../../queue/queue.ts";
import type { Db } from "../../store/db.ts";
import type { Answer, RefusalCode } from "../command.ts";
import type { Sentence } from "../words/sentence.ts";
import { type UnaskedDeps, writeUnasked } from "./unasked.ts";

export interface AnswerDeps extends UnaskedDeps {
  readonly db: Db;
  readonly queue: Queue;
  readonly clock: Clock;
}

/** Who is answered. */
export interface Answering {
  /** Has write permission where it was typed; whoever has none is answered in words so often and no more. */
  readonly hasRole: boolean;
  readonly exitCode?: number;
  /** It is no mistake of theirs. */
  readonly isFault?: boolean;
}

/** What the command line reads back. */
export interface StoredAnswer {
  readonly exitCode: number;
  readonly text: string;
  readonly data: unknown;
}

const EXIT_CODES: Record<RefusalCode, number> = { usage: 2, refused: 3, "not-found": 4, failed: 1 };

/**
 * Tells whoever asked that it was done: a reaction, and a comment where the command asks for one; a row for
 * the command line.
 */
export function answerWith(
  asker: Asker,
  answer: Extract<Answer, { kind: "done" }>,
  deps: AnswerDeps,
  { hasRole }: Answering = { hasRole: true },
): void {
  if (asker.via !== "forge") {
    store(asker.request, { exitCode: 0, text: lineOf(answer).text, data: answer.data ?? null }, deps);
    return;
  }
  if (answer.reply === undefined || hasRole) {
    if (answer.isUnderWay !== true) react(asker, "rocket", deps);
    if (answer.reply !== undefined) deps.queue.put(replyTo(asker, answer.reply.markdown));
    return;
  }
  const isWritten = writeUnasked(replyTo(asker, answer.reply.markdown), deps);
  react(asker, isWritten ? "rocket" : "confused", deps);
}

/**
 * Tells whoever asked that it was refused: one reply that says why, for each comment and reason, and where
 * that is enough by now only a reaction.
 */
export function answerRefusal(
  asker: Asker,
  answer: Extract<Answer, { kind: "refused" }>,
  deps: AnswerDeps,
  { hasRole, exitCode = EXIT_CODES[answer.code], isFault = false }: Answering,
): void {
  if (asker.via !== "forge") {
    store(
      asker.request,
      {
        exitCode,
        text: answer.reply.text,
        data: { error: { code: answer.code, message: answer.reply.text } },
      },
      deps,
    );
    return;
  }
  react(asker, "confused", deps);
  const reason = answer.reason ?? sha256(answer.reply.text).slice(0, 16);
  const key = `refusal:${asker.repository.id}:${asker.source}:${asker.sourceId}:${reason}`;
  const job = { ...replyTo(asker, answer.reply.markdown), key };
  if (hasRole) deps.queue.put(job);
  else writeUnasked(job, deps, isFault ? null : asker.person.id);
}

/** The line of an answer, as things stand now. */
export function lineOf(answer: Extract<Answer, { kind: "done" }>): Sentence {
  return typeof answer.line === "function" ? answer.line() : answer.line;
}

/** The key of everything that is posted about one command. */
function keyOf(asker: ForgeAsker): string {
  return `${asker.repository.id}:${asker.source}:${asker.sourceId}:${asker.index}`;
}

/** Puts a reaction on what holds a command; a review whose comment was deleted bears none. */
export function react(
  asker: ForgeAsker,
  reaction: "rocket" | "confused",
  deps: Pick<AnswerDeps, "queue">,
): void {
  const commentId = reactable(asker);
  if (commentId !== null) deps.queue.put(reactJob(asker.repository, commentId, reaction));
}

/** The comment that bears reactions to what somebody typed; null: none does. */
export function reactable({ source, sourceId, reactTo }: ForgeAsker): number | null {
  return source === "review" ? (reactTo ?? null) : sourceId;
}

/** Adding the same reaction twice is one, whatever it is for. */
export function reactJob(
  repository: RepositoryRef,
  commentId: number,
  reaction: "eyes" | "rocket" | "confused",
): NewJob<"react"> {
  return {
    kind: "react",
    key: `react:${repository.id}:comment:${commentId}:${reaction}`,
    lane: `react:${repository.id}:${commentId}`,
    payload: { repository, commentId, reaction },
    maxAttempts: 20,
  };
}

function replyTo(asker: ForgeAsker, body: Markdown): NewJob<"comment"> {
  const { repository, number } = asker;
  return replyJob({ repository, number, marker: `reply:${keyOf(asker)}`, body });
}

/** A job that posts one comment, once. */
export function replyJob(reply: {
  repository: { id: number; fullName: string };
  number: number;
  marker: string;
  body: Markdown;
}): NewJob<"comment"> {
  return {
    kind: "comment",
    key: reply.marker,
    lane: `thread:${reply.repository.id}#${reply.number}`,
    payload: {
      repository: reply.repository,
      number: reply.number,
      marker: reply.marker,
      text: reply.body.text,
    },
    maxAttempts: REPLY_ATTEMPTS,
  };
}

/** At up to five minutes apart: a forge may be down for a day, and what was to be said is still said. */
export const REPLY_ATTEMPTS = 300;

function store(request: string, answer: StoredAnswer, deps: AnswerDeps): void {
  deps.db.sql
    .prepare(
      "INSERT OR REPLACE INTO answers (request, at, exit_code, text, data) VALUES (@request, @at, @exitCode, @text, @data)",
    )
    .run({
      request,
      at: deps.clock.now(),
      exitCode: answer.exitCode,
      text: answer.text,
      data: JSON.stringify(answer.data),
    });
}

/** What was answered to a request of the command line or of a page; null while it is not. */
export function readAnswer(db: Db, request: string): StoredAnswer | null {
  const row = db.sql
    .prepare("SELECT exit_code AS exitCode, text, data FROM answers WHERE request = @request")
    .get({ request }) as { exitCode: number; text: string; data: string | null } | undefined;
  return row === undefined ? null : { ...row, data: row.data === null ? null : JSON.parse(row.data) };
}

/** Forgets answers that were given before this (epoch ms): whoever waited for them does so no more. */
export function pruneAnswers(db: Db, before: number): number {
  return db.sql.prepare("DELETE FROM answers WHERE at < @before").run({ before }).changes;
}
