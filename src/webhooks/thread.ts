import type { Lifecycle } from "../cells/lifecycle.ts";
import type { Registry } from "../cells/registry/registry.ts";
import type { Renames } from "../cells/renames.ts";
import type { Reviewing } from "../cells/reviewing.ts";
import type { Steps } from "../cells/steps/steps.ts";
import type { Telling } from "../cells/telling.ts";
import type { Clock } from "../clock.ts";
import type { Parsed } from "../commands/parsing/parse.ts";
import { problemReply } from "../commands/parsing/problem.ts";
import { answerRefusal, reactable, reactJob, replyJob } from "../commands/posting/answer.ts";
import { writeUnasked } from "../commands/posting/unasked.ts";
import { nameOf, type Rights } from "../commands/rights.ts";
import { replies } from "../commands/words/replies.ts";
import { findMarker } from "../gitea/markdown.ts";
import type { Forge } from "../gitea/port.ts";
import { issueHash } from "../hash.ts";
import type { Log } from "../log.ts";
import { count } from "../meter.ts";
import type { Asker } from "../protocol/asker.ts";
import { both, type Delivered } from "../protocol/delivered.ts";
import type { JobPayload } from "../protocol/jobs.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import { backoffMs } from "../queue/backoff.ts";
import type { Finish, Handlers, NewJob, Queue } from "../queue/queue.ts";
import type { Db } from "../store/db.ts";
import { answerMention, answerOpening } from "./almost.ts";
import { type Heard, refusedWithRole } from "./askers.ts";
import { wasEdited } from "./delivered.ts";
import { type ProposedDeps, readProposal, takeProposal } from "./proposed.ts";
import { type Entry, type Missing, type Reading, type ReadingDeps, readThread } from "./read-thread.ts";
import { type PointDeps, readPoints, takePoints } from "./review-points.ts";
import type { SeenEntries } from "./seen-entries.ts";
import { act, readActs } from "./thread-acts.ts";
import { unpublishClosed } from "./unpublish-closed.ts";
import { retract, retractedMessages, withdraw, withdrawnCells } from "./withdrawn.ts";

/**
 * The forge keeps seconds: an edit in the second of its comment is seen only by comparing with what the
 * delivery held. So a command that is younger than this waits for its delivery, which may be on its way;
 * where none comes it is run as it stands.
 */
const DELIVERY_GRACE_MS = 5_000;
/** Older by so much than the forge's clock shows, as far as we know it: then we do not know it. */
const MOST_SKEW_MS = 10_000;

/**
 * A job that looks at one thread, at once or later; one that still waits is folded with it, its hashes kept,
 * at the sooner time of both.
 */
export function threadTick(
  thread: { repository: RepositoryRef; number: number },
  delivered: Delivered,
  later: { readonly notBefore?: number; readonly missed?: number } = {},
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
      ...(later.missed === undefined ? {} : { missed: later.missed }),
    },
    ...(later.notBefore === undefined ? {} : { notBefore: later.notBefore }),
    merge: {
      // By its name too: whoever may sign for one repository must not touch the ticks of another.
      tag: `${lane} ${thread.repository.fullName.toLowerCase()}`,
      fold: (waiting, fresh) => ({ ...fresh, delivered: both(waiting.delivered, fresh.delivered) }),
    },
    maxAttempts: 300,
  };
}

export interface ThreadDeps extends Pick<ReadingDeps, "unlooked"> {
  readonly forge: Forge;
  readonly db: Db;
  readonly queue: Queue;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly telling: Telling;
  readonly reviewing: Reviewing;
  readonly steps: Pick<Steps, "putDraft" | "unpublish">;
  readonly handled: SeenEntries;
  readonly clock: Clock;
  readonly log: Log;
  readonly rights: Pick<Rights, "standing" | "isServed">;
  readonly renames: Pick<Renames, "found" | "lost">;
  readonly config: PointDeps["config"] & ProposedDeps["config"];
  readonly proposing: ProposedDeps["proposing"];
  parse(text: string): Parsed[];
  /** What the forge's clock says now, as far as it is known (epoch ms). */
  forgeNow(): number | null;
}

/**
 * Handler of `thread` jobs. A delivery only said where to look: what is new there is read from the forge,
 * oldest first, and each comment is marked as handled in the transaction that makes its jobs.
 */
export function createThreadHandler(deps: ThreadDeps): Pick<Handlers, "thread"> {
  return {
    async thread(job): Promise<Finish | undefined> {
      const reading = await readThread(job.payload, deps);
      if (reading === null) return undefined;
      if ("missing" in reading) return () => lookLater(job.payload, reading.missing, deps);
      const gone = await withdrawnCells(reading, deps);
      const takenBack = await retractedMessages(reading, deps);
      const acts = await readActs(reading, deps);
      const answered = await answeredBefore(reading, deps);
      const points = await readPoints(reading, deps);
      const trusted = await refusedWithRole(reading, deps);
      const proposed = await readProposal(reading, deps);
      return () => {
        for (const { source, id } of answered) deps.handled.mark(reading.repository.id, source, id);
        takePoints(points, reading, deps);
        takeProposal(proposed, deps);
        act(acts, reading, deps);
        answerOpening(reading, deps);
        const read = handleAll({ ...reading, trusted }, deps);
        for (const cellId of gone) withdraw(cellId, deps);
        retract(takenBack, deps);
        unpublishClosed(reading, deps);
        saySkipped(reading, deps);
        const isWhole = read.length === reading.entries.length;
        for (const { id, lineComments } of isWhole ? reading.linesRead.keys() : [])
          deps.handled.rememberLines(reading.repository.id, id, lineComments);
        const newest = Math.max(0, ...reading.skipped, ...read.map((entry) => entry.updatedAt));
        deps.handled.rememberReadUntil(reading.repository.id, reading.number, newest);
      };
    },
  };
}

/**
 * Commands that bear a reaction of ours although we know nothing of them: the registry was put back to an
 * older state, and they were run before. Asked only of what no delivery told of.
 */
async function answeredBefore(reading: Reading, deps: ThreadDeps): Promise<Entry[]> {
  const { repository, botId, delivered } = reading;
  const answered: Entry[] = [];
  for (const entry of reading.entries) {
    const { source, id, body, author, createdAt } = entry;
    if (source === "review" || delivered[String(id)] !== undefined || author.id === botId) continue;
    if (createdAt < reading.since || deps.handled.isMarked(repository.id, source, id)) continue;
    if (deps.parse(body).length === 0) continue;
    const reactors = await deps.forge.reactors(nameOf(repository), id);
    if (reactors === null || reactors.every((one) => one.id !== botId)) continue;
    deps.log.warn(
      { repository: repository.fullName, comment: id },
      "a command is skipped: it was run before the registry was restored",
    );
    answered.push(entry);
  }
  return answered;
}

/** Once for each thread: what is larger than an answer of the forge may be is stepped past. */
function saySkipped({ repository, number, skipped }: Reading, deps: ThreadDeps): void {
  if (skipped.length === 0) return;
  deps.log.warn({ thread: `${repository.fullName}#${number}`, skipped }, "comments too large to be read");
  const body = replies.tooLargeToRead().markdown;
  writeUnasked(replyJob({ repository, number, marker: `skipped:${repository.id}:${number}`, body }), deps);
}

/** Oldest first, up to one that is still to wait for its delivery. */
function handleAll(reading: Heard, deps: ThreadDeps): readonly Entry[] {
  for (const [index, entry] of reading.entries.entries()) {
    const waitMs = graceOf(entry, reading, deps);
    if (waitMs > 0) {
      deps.queue.put(threadTick(reading, reading.delivered, { notBefore: deps.clock.now() + waitMs }));
      return reading.entries.slice(0, index);
    }
    handle(entry, reading, deps);
  }
  return reading.entries;
}

/** How long a comment is to wait for its delivery, in milliseconds; 0 where it need not. */
function graceOf(entry: Entry, reading: Reading, deps: ThreadDeps): number {
  const now = deps.forgeNow();
  if (now === null || entry.source !== "comment" || entry.author.id === reading.botId) return 0;
  const ageMs = now - entry.createdAt;
  if (ageMs < -MOST_SKEW_MS || ageMs >= DELIVERY_GRACE_MS) return 0;
  if (reading.delivered[String(entry.id)] !== undefined) return 0;
  // Asked last: reading a text takes longest.
  const isRead = deps.handled.isMarked(reading.repository.id, "comment", entry.id);
  return isRead || deps.parse(entry.body).length === 0 ? 0 : DELIVERY_GRACE_MS - ageMs;
}

/**
 * How often what is missing is looked for again, at most five minutes apart: for a day, and for half an hour.
 */
const LOOKS_FOR = { repository: 290, thread: 14 } as const;

/**
 * A forge that is not well, or whose proxy is not, may say 404 of what is there, and the bot may be let in
 * again: what was to be read is not given up at once. The lane stays free meanwhile, and a delivery makes the
 * look sooner.
 */
function lookLater(payload: JobPayload<"thread">, missing: Missing["missing"], deps: ThreadDeps): void {
  const missed = (payload.missed ?? 0) + 1;
  const { repository, number } = payload;
  const facts = { repository: repository.fullName, id: repository.id, number, missing };
  if (missed > LOOKS_FOR[missing]) {
    deps.log.warn(facts, "a thread to be looked at is not there: given up");
    return;
  }
  // Looked for twice, and it is not there: whoever could propose it could delete it.
  if (missed === 2 && missing === "thread") deps.proposing.close(payload, GONE);
  if (missed === 1) deps.log.warn(facts, "a thread to be looked at is not there; looking again");
  const notBefore = deps.clock.now() + backoffMs(missed);
  deps.queue.put(threadTick({ repository, number }, payload.delivered, { notBefore, missed }));
}

const GONE = { who: "lazarus", why: "withdrawn: its issue was deleted" };

function handle(entry: Entry, reading: Heard, deps: ThreadDeps): void {
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
      { hasRole: reading.trusted.has(entry.author.id) },
    );
    return;
  }
  const parsed = deps.parse(entry.body);
  if (parsed.length === 0) {
    answerMention(entry, reading, deps);
    return;
  }
  const thread = `${reading.repository.fullName}#${reading.number}`;
  deps.log.info({ thread, by: entry.author.login, commands: parsed.length }, "commands read");
  const isTold = entry.source !== "comment" || reading.delivered[String(entry.id)] !== undefined;
  if (!isTold) count("catchup_found_total");
  const eyes = reactable(askerOf(entry, reading, 0));
  if (eyes !== null) deps.queue.put(reactJob(reading.repository, eyes, "eyes"));
  for (const [index, one] of parsed.entries()) putCommand(one, { entry, reading, index }, deps);
}

function askerOf(entry: Entry, reading: Reading, index: number): Extract<Asker, { via: "forge" }> {
  return {
    via: "forge",
    repository: reading.repository,
    number: reading.number,
    source: entry.source,
    sourceId: entry.id,
    ...(entry.reactTo == null ? {} : { reactTo: entry.reactTo }),
    index,
    person: { id: entry.author.id, login: entry.author.login },
  };
}

function putCommand(
  parsed: Parsed,
  at: { entry: Entry; reading: Heard; index: number },
  deps: ThreadDeps,
): void {
  const asker = askerOf(at.entry, at.reading, at.index);
  if (parsed.kind === "problem") {
    const reply = problemReply(parsed.problem);
    const hasRole = at.reading.trusted.has(at.entry.author.id);
    answerRefusal(asker, { kind: "refused", code: "usage", reply }, deps, { hasRole });
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
      issueHash: issueTextOf(at.entry, at.reading),
    },
    maxAttempts: 60,
  });
}

/**
 * SHA-256 of what the issue said when a command was typed: as its delivery told, else what it says now, where
 * nothing moved the thread since. An edit of the text does move it, as a comment does, and leaves no other
 * trace in the API; so where anything came after the command, nobody knows. Null then.
 */
function issueTextOf(entry: Entry, { issue, delivered }: Reading): string | null {
  const told = entry.source !== "review" ? delivered[String(entry.id)]?.issue : undefined;
  if (told !== undefined) return told;
  return issue.updatedAt <= entry.createdAt ? issueHash(issue.title, issue.body) : null;
}
