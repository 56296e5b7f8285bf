import type { Clock } from "../clock.ts";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import { JOBS } from "../protocol/jobs.ts";
import type { AnyReport } from "../protocol/reports.ts";
import type { RunnerFacts, RunnerStanding } from "../protocol/runner-facts.ts";
import {
  type Outcome,
  type RunnerJob,
  type RunnerPort,
  type Watched,
  watchedKeys,
} from "../protocol/runner-port.ts";
import { toWire } from "./failures.ts";
import { createHands } from "./hands.ts";
import { createSpeaker, listen } from "./line.ts";
import { type GitPass, type HeardByRunner, toRunner } from "./messages.ts";
import { createOutbox } from "./outbox.ts";
import { type Post, queueNames } from "./post.ts";
import type { Header } from "./sealing.ts";

export interface RunnerEndOptions {
  readonly name: string;
  readonly generation: number;
  readonly post: Post;
  /** Of both ways. */
  readonly keys: { readonly to: Uint8Array; readonly from: Uint8Array };
  readonly clock: Clock;
  readonly log: Log;
  readonly redact: (text: string) => string;
  readonly facts: RunnerFacts;
  standing(): Promise<RunnerStanding>;
  /** Opens what does the work, once control has said what holds. Called once. */
  open(policy: Readonly<Record<string, unknown>>): Promise<RunnerPort>;
  /** Control says something else holds than at the first welcome. */
  policyChanged(): void;
  /** Puts in what only this host knows: the users of its cells. */
  localize(job: RunnerJob): RunnerJob;
  localizeWatched(watched: Watched): Watched;
  /** A job came to its end here. */
  ended(job: RunnerJob, isOk: boolean): void;
  /**
   * May be removed from disk before it is known whose they are; false: so many are unknown that nobody
   * should.
   */
  maySweep(knownIds: readonly string[]): Promise<boolean>;
  /** Null: the job is over. */
  passes(row: string, passes: readonly GitPass[] | null, sealPass: string | null): void;
}

/** A runner's side of its line: takes jobs, and says what came of them until control has it. */
export interface RunnerEnd {
  /** Says what a runner sees by itself. @throws LazarusError where too much of it waits already. */
  report(report: AnyReport): void;
  /** Takes nothing new, lets what is in hand go on for so long; agents go on. */
  close(drainMs: number): Promise<void>;
  readonly isWelcome: boolean;
}

export function createRunnerEnd(options: RunnerEndOptions): RunnerEnd {
  const { name, post, clock, log, facts } = options;
  const names = queueNames(name);
  const incarnation = crypto.randomUUID();
  let epoch = 0;
  let heard = 0;
  let port: RunnerPort | null = null;
  /** Does nothing yet: it is opened, and may have to be swept. */
  let opened: RunnerPort | null = null;
  let opening: Promise<RunnerPort> | null = null;
  let policy: string | null = null;
  let isClosed = false;
  let isWelcome = false;
  let isGreeted = false;
  const watching = new Set<string>();
  const speaker = createSpeaker({
    ...{ post, queue: names.from, keyOf: () => options.keys.from },
    header: () => ({ generation: options.generation, epoch, incarnation }),
  });
  const say = async (message: object, id?: string): Promise<void> => {
    if (isClosed && id !== "last") return;
    await speaker.say(message, id === undefined ? {} : { id }).catch((error: unknown) => {
      if (error instanceof LazarusError && error.code === "over-limit") throw error;
      log.debug({ why: explain(error) }, "a message could not be sent; it is said again");
    });
  };
  const outbox = createOutbox({ now: () => clock.monotonic(), beatMs: facts.beatMs, say });
  const hands = createHands({
    ...{ say, perform, log },
    failureOf: (error, isEnd) => toWire(error, options.redact, isEnd),
    passes: options.passes,
    ended: options.ended,
  });

  const receiving = listen(
    {
      post,
      queue: names.to,
      keyOf: (generation) => (generation === options.generation ? options.keys.to : null),
    },
    toRunner,
    {
      heard: (header, message) => {
        if (!isClosed) hear(header, message).catch((error: unknown) => failed(message.say, error));
      },
      dropped: (why) =>
        log.warn({ why }, "dropped a message that control did not seal, or that fits nothing"),
    },
  );

  function failed(what: string, error: unknown): void {
    log.error({ what, why: explain(error) }, "what control said could not be done");
  }

  async function hear(header: Header, message: HeardByRunner): Promise<void> {
    if (header.incarnation !== incarnation) return;
    if (header.epoch < epoch) {
      log.warn(
        { epoch: header.epoch, now: epoch },
        "an older control speaks; it is not heard: is another one at work on a copy of the registry?",
      );
      return;
    }
    if (header.epoch === epoch && header.number <= heard) return;
    heard = header.number;
    if (header.epoch > epoch) isWelcome = false;
    epoch = header.epoch;
    if (message.say === "greet") {
      isGreeted = true;
      return say({ say: "join", facts, standing: await options.standing() });
    }
    if (message.say === "welcome") return welcomed(message);
    if (message.say === "forget") {
      hands.forget(message.done);
      outbox.taken(message.reports);
      return;
    }
    if (message.say === "end") {
      hands.end(message);
      return;
    }
    if (message.say === "do") return hands.take(message);
    if (message.say === "watch") return watch(message.watched as unknown as Watched);
    return answer(message);
  }

  async function welcomed(message: Extract<HeardByRunner, { say: "welcome" }>): Promise<void> {
    const text = JSON.stringify(message.policy);
    if (policy !== null && policy !== text) options.policyChanged();
    policy ??= text;
    opening ??= open(message).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    port = await opening;
    await watch(message.watched as unknown as Watched);
    isWelcome = true;
  }

  /** Nothing is begun before what an earlier process left is gone: it could not be told from that. */
  async function open(message: Extract<HeardByRunner, { say: "welcome" }>): Promise<RunnerPort> {
    if (opened === null) {
      opened = await options.open(message.policy).catch((error: unknown) => {
        policy = null;
        throw error;
      });
      log.info({ epoch }, "welcomed by control");
    }
    if (message.knownIds !== null && (await options.maySweep(message.knownIds)))
      await opened.sweep(message.knownIds);
    return opened;
  }

  async function watch(watched: Watched): Promise<void> {
    const own = options.localizeWatched(watched);
    (port ?? (await opening))?.adopt(own);
    for (const key of watchedKeys(own)) watching.add(key);
  }

  async function perform(job: RunnerJob, signal: AbortSignal): Promise<Outcome> {
    // Where it could not be opened, that is tried again at the next welcome.
    const ready = port ?? (await opening?.catch(() => null)) ?? null;
    if (ready === null)
      throw new LazarusError("runner-gone", "it has not been welcomed yet", { retryable: true });
    const shape = Object.hasOwn(JOBS, job.kind) ? JOBS[job.kind].payload : null;
    // A kind that is not known is refused by whoever does the work, in words.
    if (shape === null) return ready.do(job, signal);
    const parsed = shape.safeParse(job.payload);
    if (!parsed.success)
      throw new LazarusError(
        "internal",
        `this runner cannot read a ${job.kind} job: it and control are of different versions; upgrade the older one`,
      );
    return ready.do(options.localize({ ...job, payload: parsed.data } as RunnerJob), signal);
  }

  async function answer({ id, question }: Extract<HeardByRunner, { say: "ask" }>): Promise<void> {
    const ready = port ?? (await opening);
    try {
      if (ready === null)
        throw new LazarusError("runner-gone", "it has not been welcomed yet", { retryable: true });
      if (question.what === "inventory") {
        const seen = await ready.inventory(question);
        const wire = {
          root: seen.root,
          there: [...seen.there],
          damaged: [...seen.damaged],
          strangers: seen.strangers,
        };
        return await say({ say: "answer", id, failure: null, seen: wire });
      }
      const excerpt = await ready.readLog(question.cellId, question.log, {
        maxBytes: Math.min(question.maxBytes, MOST_LOG_BYTES),
        secrets: question.secrets,
      });
      return await say({ say: "answer", id, failure: null, excerpt });
    } catch (error) {
      await say({ say: "answer", id, failure: toWire(error, options.redact) });
    }
  }

  async function beat(): Promise<void> {
    if (!isGreeted) return say({ say: "hello" }, "hello");
    const standing = await options.standing();
    await say({ say: "beat", standing, isWelcome, ...hands.refs(), watching: [...watching] }, "beat");
    await outbox.again();
  }

  let cancel = () => {};
  const again = () => {
    void beat()
      .catch((error: unknown) => log.error({ why: explain(error) }, "no sign of life could be given"))
      .finally(() => {
        if (!isClosed) cancel = clock.after(facts.beatMs, again);
      });
  };
  again();

  return {
    get isWelcome() {
      return isWelcome;
    },
    report(report) {
      for (const key of endedKeys(report)) watching.delete(key);
      outbox.put(report);
    },
    async close(drainMs) {
      await receiving.close();
      cancel();
      const late = new Promise<void>((resolve) => clock.after(drainMs, resolve));
      await Promise.race([late, hands.settled()]);
      isClosed = true;
      await port?.close();
    },
  };
}

const MOST_LOG_BYTES = 256 * 1024;

function endedKeys({ kind, payload }: AnyReport): string[] {
  if (kind === "run-ended") return [`${payload.cellId}:${payload.run}`];
  if (kind === "setup-ended") return [`${payload.cellId}:setup:${payload.run}`];
  return kind === "check-ended" ? [`${payload.cellId}:check:${payload.check}`] : [];
}
