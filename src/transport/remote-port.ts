import { explain, LazarusError } from "../errors.ts";
import type { DirectoriesSeen } from "../protocol/directories-seen.ts";
import { PROTOCOL, type RunnerFacts, type RunnerStanding } from "../protocol/runner-facts.ts";
import type { LogEnd } from "../protocol/runner-port.ts";
import { createAskers } from "./askers.ts";
import { readOutcome, readReports } from "./believed.ts";
import { createErrands } from "./errands.ts";
import { fromWire, tooOld } from "./failures.ts";
import { createSpeaker, listen } from "./line.ts";
import { fromRunner, type HeardByControl } from "./messages.ts";
import { queueNames } from "./post.ts";
import type { RemotePort, RemotePortOptions, RemoteState } from "./remote-options.ts";
import type { Header } from "./sealing.ts";

const LEAST_BEAT_MS = 100;
const MISSED_BEATS = 3;
const FIRST_BEAT_MS = 10_000;
const GREET_MS = 1_000;
/** Every so many beats it is compared what is watched. */
const BEATS_A_LOOK = 3;
/** A second process of the same name would have been heard within so many beats. */
const DOUBLED_BEATS = 6;

/** A runner on another host, behind the port of one in this process. */
export function remotePort(options: RemotePortOptions): RemotePort {
  const { name, post, epoch, clock, log } = options;
  const names = queueNames(name);
  const speaker = createSpeaker({
    ...{ post, queue: names.to, keyOf: options.keyTo },
    header: () => ({ generation: options.generation(), epoch, incarnation: incarnation ?? "" }),
  });
  let incarnation = options.lastIncarnation;
  let facts: RunnerFacts | null = null;
  let standing: RunnerStanding | null = null;
  let skewMs = 0;
  let heardAt: number | null = null;
  let isJoined = false;
  let isClosed = false;
  let isGoneSaid = false;
  let dropped = 0;
  let doubledAt = Number.NEGATIVE_INFINITY;
  let beats = 0;
  let greetedAt = Number.NEGATIVE_INFINITY;
  let welcomedAt = Number.NEGATIVE_INFINITY;
  /** The last number of each process that was heard in this epoch. */
  const numbers = new Map<string, number>();

  const beatMs = () => Math.max(LEAST_BEAT_MS, facts?.beatMs ?? FIRST_BEAT_MS);
  const silentMs = () => (heardAt === null ? null : clock.monotonic() - heardAt);
  const isHere = () => {
    const silent = silentMs();
    return isJoined && silent !== null && silent < beatMs() * MISSED_BEATS + GREET_MS;
  };
  /** What cannot be said now is said again after the next beat. */
  const say = (message: object, how: { id?: string; to?: string } = {}) => {
    if (isClosed) return;
    speaker.say(message, how).catch((error: unknown) => {
      log.debug({ runner: name, why: explain(error) }, "a message could not be sent; it is said again");
    });
  };
  const errands = createErrands({
    now: () => clock.monotonic(),
    beatMs,
    isHere,
    send: (errand) => {
      const { id: row, attempt, kind, key, lane = key, payload } = errand.job;
      say({ say: "do", row, attempt, kind, key, lane, payload, ...options.passesFor(errand.job) });
    },
    end: ({ job }, why) => say({ say: "end", row: job.id, attempt: job.attempt, why }),
  });
  const askers = createAskers({ clock, say, gone: () => gone() });

  const stop = every(() => {
    const silent = silentMs();
    if (isHere() || silent === null || isGoneSaid || !isJoined) return;
    isGoneSaid = true;
    log.warn({ runner: name }, "a runner is heard no more: its cells wait for it");
    options.changed(state(), "gone");
  });
  const receiving = listen({ post, queue: names.from, keyOf: options.keyFrom }, fromRunner, {
    heard: (header, message) => {
      try {
        if (!isClosed) hear(header, message);
      } catch (error) {
        // Level-triggered: it is said again.
        log.error(
          { runner: name, what: message.say, why: explain(error) },
          "what a runner said was not taken",
        );
      }
    },
    dropped: (why) => {
      dropped++;
      if (dropped === 1 || dropped % 1_000 === 0)
        log.warn(
          { runner: name, dropped, why },
          "dropped a message that this runner's key did not seal, or that fits nothing",
        );
    },
  });

  function hear(header: Header, message: HeardByControl): void {
    if (message.say === "hello" || header.epoch !== epoch) {
      greet(header.incarnation);
      return;
    }
    if (header.number <= (numbers.get(header.incarnation) ?? 0)) return;
    numbers.set(header.incarnation, header.number);
    if (message.say === "join") {
      join(header.incarnation, message);
      return;
    }
    if (header.incarnation !== incarnation || !isJoined) {
      // Another process of the same name: it was heard after a later one joined.
      if (isJoined) doubledAt = clock.monotonic();
      else greet(header.incarnation);
      return;
    }
    heardAt = clock.monotonic();
    if (message.say === "beat") beat(message);
    else if (message.say === "done") done(message);
    else if (message.say === "report") heed(message.reports);
    else askers.answered(message);
  }

  function greet(to: string): void {
    const now = clock.monotonic();
    if (now - greetedAt < Math.min(GREET_MS, beatMs() / 2)) return;
    greetedAt = now;
    say({ say: "greet" }, { to });
  }

  function join(by: string, message: Extract<HeardByControl, { say: "join" }>): void {
    const isOther = by !== incarnation;
    const isFirst = !isJoined && incarnation !== null;
    if (isOther && isHere() && isJoined && incarnation !== null) doubledAt = clock.monotonic();
    incarnation = by;
    facts = message.facts;
    heardAt = clock.monotonic();
    isJoined = true;
    isGoneSaid = false;
    note(message.standing);
    if (facts.protocol !== PROTOCOL)
      log.warn(
        { runner: name, version: facts.version },
        "a runner of another version: no new cells go there",
      );
    log.info({ runner: name, version: facts.version, slots: facts.slots }, "a runner has joined");
    if (isOther) errands.interrupted(isFirst);
    welcome();
    errands.sendAll();
    options.changed(state(), "joined");
  }

  function welcome(): void {
    welcomedAt = clock.monotonic();
    const { knownIds, watched, policy } = options.welcome();
    say({ say: "welcome", knownIds, watched, policy });
  }

  function note(now: RunnerStanding): void {
    standing = now;
    skewMs = now.now - clock.now();
  }

  function beat(message: Extract<HeardByControl, { say: "beat" }>): void {
    const wasGone = isGoneSaid;
    isGoneSaid = false;
    note(message.standing);
    if (!message.isWelcome) {
      if (clock.monotonic() - welcomedAt > beatMs()) welcome();
    } else {
      const { unknownInHand, unknownDone } = errands.compare(message);
      for (const { row, attempt } of unknownInHand)
        if (!options.isAtWork(row, attempt))
          say({ say: "end", row, attempt, why: "nobody needs it any more" });
      const over = unknownDone.filter(({ row, attempt }) => !options.isAtWork(row, attempt));
      if (over.length > 0) say({ say: "forget", done: over, reports: [] });
      if (++beats % BEATS_A_LOOK === 0) watchAgain(new Set(message.watching));
    }
    if (wasGone) log.info({ runner: name }, "a runner is heard again");
    options.changed(state(), wasGone ? "joined" : "beat");
  }

  function watchAgain(known: ReadonlySet<string>): void {
    const missing = options.unwatched(known);
    if (missing.runs.length + missing.setups.length + missing.checks.length > 0) port.adopt(missing);
  }

  function done(message: Extract<HeardByControl, { say: "done" }>): void {
    const errand = errands.find(message.row, message.attempt);
    if (errand === null) {
      if (!options.isAtWork(message.row, message.attempt))
        say({ say: "forget", done: [{ row: message.row, attempt: message.attempt }], reports: [] });
      return;
    }
    if (message.failure !== null) {
      const { signal } = errand;
      const isEnd = message.failure.isEnd && signal.aborted;
      errands.settle(errand, () =>
        errand.reject(isEnd ? signal.reason : fromWire(message.failure ?? NO_FAILURE)),
      );
      return;
    }
    const read = readOutcome(errand.job, message.reports ?? [], { isOurs: options.isOurs, skewMs });
    errands.settle(errand, () => {
      if ("refused" in read) errand.reject(new LazarusError("runner-gone", `${name} ${read.refused}`));
      else errand.resolve(read.outcome);
    });
  }

  function heed(said: readonly Readonly<Record<string, unknown>>[]): void {
    const { reports, refused } = readReports(said, { isOurs: options.isOurs, skewMs });
    for (const why of refused) log.warn({ runner: name, why }, "a report of a runner is not believed");
    if (reports.length > 0) options.report(reports);
    const keys = said.flatMap(({ key }) => (typeof key === "string" ? [key] : []));
    say({ say: "forget", done: [], reports: keys });
  }

  function gone(): LazarusError {
    const silent = silentMs();
    const how =
      silent === null
        ? "has not been heard since the start"
        : `has not been heard for ${Math.round(silent / 1000)} s`;
    return new LazarusError("runner-gone", `the runner ${name} ${how}`, { retryable: true });
  }

  function state(): RemoteState {
    return {
      ...{ incarnation, facts, standing, skewMs, dropped },
      silentMs: silentMs(),
      isHere: isHere(),
      isDoubled: clock.monotonic() - doubledAt < beatMs() * DOUBLED_BEATS,
    };
  }

  function every(act: () => void): () => void {
    let cancel = () => {};
    const again = () => {
      cancel = clock.after(Math.min(beatMs(), 1_000), () => {
        act();
        again();
      });
    };
    again();
    return () => cancel();
  }

  const port: RemotePort = {
    name,
    do: (job, signal) => {
      if (signal.aborted) return Promise.reject(signal.reason);
      if (facts !== null && !facts.kinds.includes(job.kind))
        return Promise.reject(tooOld(name, facts, job.kind));
      return errands.add(job, signal);
    },
    adopt: (watched) => say({ say: "watch", watched }),
    // The runner does it itself when it is welcomed.
    sweep: async () => {},
    inventory: async (how) => {
      if (!isHere()) throw gone();
      const { seen } = await askers.ask({ what: "inventory", ...how });
      if (seen === null)
        throw new LazarusError("runner-gone", `${name} answered without a list`, { retryable: true });
      const found: DirectoriesSeen = { ...seen, there: new Set(seen.there), damaged: new Map(seen.damaged) };
      return found;
    },
    readLog: async (cellId, file, { maxBytes, secrets }): Promise<LogEnd> => {
      if (!isHere()) throw gone();
      const { excerpt } = await askers.ask({
        what: "log",
        cellId,
        log: file,
        maxBytes,
        secrets: [...secrets],
      });
      return excerpt ?? { text: "", cut: false };
    },
    // Its agents are heard there, and nowhere else.
    hear: async () => false,
    state,
    leave: (cellId) => errands.leave(cellId, new LazarusError("lease-lost", `it left the runner ${name}`)),
    giveUp: (why) => errands.giveUp(new LazarusError("runner-gone", why)),
    async close() {
      isClosed = true;
      stop();
      askers.close();
      await receiving.close();
    },
  };
  return port;
}

const NO_FAILURE = { code: null, message: "it said nothing", retryable: true, isEnd: false };
