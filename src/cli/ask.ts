import { userInfo } from "node:os";
import { type App, openApp } from "../app.ts";
import { systemClock } from "../clock.ts";
import type { Command, Origin } from "../commands/command.ts";
import { verbNamed } from "../commands/index.ts";
import { lineOf, readAnswer, type StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { ConfigFault } from "../config/config-fault.ts";
import { openParts, type Parts } from "../control.ts";
import { LazarusError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import { isAtWork, prepareDataDir } from "../store/lock.ts";
import { comeToRest } from "./come-to-rest.ts";
import { createPatience, type Patience, sleepOr, whyNoAnswer } from "./waiting.ts";

/** A person waits at the terminal: better an error soon than a command that runs tomorrow. */
const CLI_ATTEMPTS = 2;
const DRAIN_NOTICE_MS = 2_000;

export interface AskOptions {
  /** Follow the cell to the end of its run, also where a server does the work. */
  readonly wait: boolean;
  /**
   * Everything that a server needs, secrets too: asked for only where this process takes a server's place.
   * @throws ConfigFault where something of it is missing.
   */
  whole(): Config;
  makeLog(config: Config): Log;
  /** Told of every step while something is followed. */
  progress(line: string): void;
  /** Told what is waited for, where nothing was said for some seconds. */
  notice(line: string): void;
  readonly signal: AbortSignal;
}

/** The operator's name in histories: who runs the command line. */
export function operatorName(): string {
  return `operator ${userInfo().username}`;
}

/**
 * Answers a verb that changes nothing straight from the registry: it works with and without a server, and
 * starts nothing.
 */
export async function askRegistry(config: Config, command: Command): Promise<StoredAnswer> {
  prepareDataDir(config.dataDir);
  const parts = openParts(config, { log: silentLog });
  try {
    const verb = verbNamed(command.verb);
    if (verb === null) throw new LazarusError("internal", `no verb ${command.verb}`);
    const answer = await verb.run(command, operatorOrigin(), parts.deps);
    if (answer.kind === "later") throw new LazarusError("internal", `${command.verb} answers later`);
    if (answer.kind === "done") return { exitCode: 0, text: lineOf(answer).text, data: answer.data ?? null };
    return refusedAnswer(answer.code, answer.reply.text);
  } finally {
    parts.db.close();
  }
}

/** A refusal as the command line tells it. */
export function refusedAnswer(
  code: "usage" | "refused" | "not-found" | "failed",
  text: string,
): StoredAnswer {
  const exitCode = { usage: 2, refused: 3, "not-found": 4, failed: 1 }[code];
  return { exitCode, text, data: { error: { code, message: text } } };
}

/** The operator of the command line: a director everywhere. */
export function operatorOrigin(): Origin {
  const operator = operatorName();
  return {
    asker: { via: "cli", request: "", operator },
    person: { id: null, login: operator },
    isOperator: true,
    thread: null,
    commentId: null,
    issueHash: null,
    notes: {},
    note: () => {},
  };
}

/**
 * Puts a command into the job log and waits for its answer. With a server running, that server does the work,
 * and nothing is needed here but where its data is; without one, this process takes its place under the lock,
 * and stays until what was asked for has come to rest.
 */
export async function ask(config: Config, command: Command, options: AskOptions): Promise<StoredAnswer> {
  prepareDataDir(config.dataDir);
  // What nobody could do here is said before it stands in the job log.
  if (!isAtWork(config.dataDir)) options.whole();
  const parts = openParts(config, { log: silentLog });
  const request = crypto.randomUUID();
  try {
    parts.queue.put({
      kind: "command",
      key: `cli:${request}`,
      lane: `cli:${request}`,
      maxAttempts: CLI_ATTEMPTS,
      payload: {
        asker: { via: "cli", request, operator: operatorName() },
        verb: command.verb,
        words: [...command.words],
        flags: command.flags,
        text: command.text,
        issueHash: null,
      },
    });
    const patience = createPatience(() => systemClock.monotonic(), options.notice);
    return await follow(request, { config, command, parts, options, patience });
  } finally {
    parts.db.close();
  }
}

interface Following {
  readonly config: Config;
  readonly command: Command;
  readonly parts: Parts;
  readonly options: AskOptions;
  readonly patience: Patience;
}

async function follow(request: string, at: Following): Promise<StoredAnswer> {
  let own: App | null = null;
  // The clock's timers never keep a process alive: somebody is waiting for this one.
  const held = setInterval(() => {}, 60_000);
  try {
    for (;;) {
      own ??= await tryToServe(at);
      const answer = readAnswer(at.parts.db, request);
      if (answer !== null) {
        return answer.exitCode === 0 ? await comeToRest(answer, { ...at, own: own?.queue ?? null }) : answer;
      }
      at.patience.wait(() => whyNoAnswer(request, at.parts.queue));
      await sleepOr(at.options.signal);
    }
  } finally {
    const stopping = setTimeout(() => at.options.notice("finishing what is under way"), DRAIN_NOTICE_MS);
    await own?.stop();
    clearTimeout(stopping);
    clearInterval(held);
  }
}

/** The App, where nobody else holds the lock; null where a server is at work. */
async function tryToServe({ config, options }: Following): Promise<App | null> {
  if (isAtWork(config.dataDir)) return null;
  try {
    const whole = options.whole();
    return await openApp(whole, { log: options.makeLog(whole) });
  } catch (error) {
    if (error instanceof LazarusError && error.code === "lock-held") return null;
    if (error instanceof ConfigFault)
      options.notice("the server ended; what you asked for waits in the job log, and the next serve does it");
    throw error;
  }
}
