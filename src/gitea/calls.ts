import type { z } from "zod";
import { type Clock, sleep } from "../clock.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { count } from "../meter.ts";
import { type CallKind, createBudget } from "./budget.ts";
import { AnswerTooLarge } from "./http.ts";

/**
 * What gitea-js resolves with, and, when the status is not 2xx, rejects with: a Response with the parsed
 * body.
 */
export type Answered = Response & { data: unknown; error: unknown };

/** One call, as the caller means it. `doing` says what it is for people: `reading issue acme/app#3`. */
export interface Call {
  readonly doing: string;
  readonly send: () => Promise<Answered>;
  /** Asked once, whatever comes of it: only to see whether the forge answers. */
  readonly isProbe?: boolean;
  /** A write that nobody waits for: others go before it. */
  readonly isCard?: boolean;
  /** A write is done too when the forge says 404: there is nothing to delete. */
  readonly isDoneWhenMissing?: boolean;
}

/** A status the forge gave on purpose: 2xx, 3xx or 4xx, with a body that is JSON or empty. */
export interface ForgeAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed body; null when there is none. */
  readonly data: unknown;
}

export interface Calls {
  /** Sends up to four times while the forge cannot be reached; any other status is the answer. */
  read(call: Call): Promise<ForgeAnswer>;
  /** Sends exactly once; anything but 2xx is an error. */
  write(call: Call): Promise<ForgeAnswer>;
  /** Sends exactly once, and answers whatever the forge says. */
  writeOnce(call: Call): Promise<ForgeAnswer>;
  /** The same for what not every forge knows: false where the status is one of `unknown`. */
  writeWhere(call: Call, unknown: readonly number[]): Promise<boolean>;
  /** The error for an answer that a caller of `read` has no use for. */
  refusal(call: Call, answer: ForgeAnswer): LazarusError;
}

const BACKOFF_MS = [250, 1_000, 3_000] as const;
const MAX_RETRY_AFTER_MS = 10_000;
/** A forge that says 429, and not for how long, is left alone for so long. */
const TOO_MUCH_MS = 1_000;

export interface CallsOptions {
  readonly clock: Clock;
  readonly redact: (text: string) => string;
  /** Which key of the file holds the token. */
  readonly tokenKey: string;
  /**
   * Told of each sending: null where the forge answered, with whatever status, else why it could not be
   * reached.
   */
  readonly heard?: ((error: unknown | null) => void) | undefined;
  /** Told where a write was led elsewhere: what it was sent to is called otherwise now. */
  readonly onElsewhere?: (() => void) | undefined;
}

/**
 * Runs calls to the forge, with retries for reads, and turns every failure into one `LazarusError` (codes as
 * in port.ts).
 */
export function createCalls(options: CallsOptions): Calls {
  const { clock, redact } = options;

  const budget = createBudget(clock);
  const send = async (call: Call, kind: CallKind): Promise<ForgeAnswer | Failure> => {
    // Whether it answers is asked whatever it wants.
    const done = call.isProbe === true ? () => {} : await budget.take(kind, call.doing);
    const seen = await attemptOnce(call, redact).finally(done);
    if (!("status" in seen) && seen.isTooMuch) budget.pause(kind, seen.retryAfterMs ?? TOO_MUCH_MS);
    if ("status" in seen) options.heard?.(null);
    else if (seen.error.code === "forge-unreachable") options.heard?.(seen.error);
    return seen;
  };

  const refusal = ({ doing }: Call, { status, data }: ForgeAnswer): LazarusError => {
    const isElsewhere = status >= 300 && status < 400;
    const why = isElsewhere ? ", it answers under another name; is it renamed?" : wordsOf(data, redact);
    const hint = status === 401 ? ` (is ${options.tokenKey} valid?)` : "";
    const message = `${doing}: the forge answered ${status}${why}${hint}`;
    // A token is mended by an operator, not by whoever typed the command: what was asked for waits for that.
    return new LazarusError("forge-refused", message, { retryable: status === 401 });
  };

  const read = async (call: Call): Promise<ForgeAnswer> => {
    for (let attempt = 0; ; attempt++) {
      const seen = await send(call, "read");
      if ("status" in seen) return seen;
      const backoffMs = call.isProbe === true ? undefined : BACKOFF_MS[attempt];
      if (backoffMs === undefined || !seen.error.retryable) throw seen.error;
      count("forge_retries_total");
      // The budget waits for as long as the forge wants, with all that is asked of it.
      if (seen.isTooMuch) continue;
      // Half fixed, half random, so that many callers do not come back in step.
      await sleep(clock, shortest(seen.retryAfterMs) ?? backoffMs * (0.5 + Math.random() / 2));
    }
  };

  const writeOnce = async (call: Call): Promise<ForgeAnswer> => {
    const seen = await send(call, call.isCard === true ? "card" : "answer");
    if (!("status" in seen)) throw seen.error;
    return seen;
  };

  const write = async (call: Call): Promise<ForgeAnswer> => {
    const seen = await writeOnce(call);
    if (seen.status < 300 || (seen.status === 404 && call.isDoneWhenMissing === true)) return seen;
    if (seen.status < 400) {
      // It was not done: it is sent again once its repository was looked for.
      options.onElsewhere?.();
      throw new LazarusError("forge-refused", refusal(call, seen).message, { retryable: true });
    }
    throw refusal(call, seen);
  };

  const writeWhere = async (call: Call, unknown: readonly number[]): Promise<boolean> => {
    const seen = await writeOnce(call);
    if (unknown.includes(seen.status)) return false;
    if (seen.status >= 300) throw refusal(call, seen);
    return true;
  };

  return { read, write, writeOnce, writeWhere, refusal };
}

/**
 * Reads what the forge sent as `schema` says; anything else is `forge-answer`. Values never stand in the
 * message.
 */
export function check<S extends z.ZodType>(doing: string, data: unknown, schema: S): z.output<S> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  const where = first === undefined || first.path.length === 0 ? "the answer" : first.path.join(".");
  throw new LazarusError(
    "forge-answer",
    `${doing}: the forge's answer is not understood: ${where}: ${first?.message ?? "wrong shape"}`,
  );
}

type Failure = {
  readonly error: LazarusError;
  readonly retryAfterMs: number | null;
  /** The forge said 429. */
  readonly isTooMuch: boolean;
};

async function attemptOnce(call: Call, redact: (text: string) => string): Promise<ForgeAnswer | Failure> {
  let answered: Answered;
  try {
    answered = await call.send();
  } catch (thrown) {
    if (thrown instanceof LazarusError) throw thrown;
    if (!isAnswered(thrown))
      return { error: unreachable(call.doing, thrown, redact), retryAfterMs: null, isTooMuch: false };
    answered = thrown;
  }
  const { status, headers } = answered;
  // gitea-js leaves what was no JSON as the parser's error, also where there was no body at all.
  const isJson = !(answered.error instanceof Error);
  const data = isJson ? (answered.ok ? answered.data : answered.error) : null;
  const isHtml = !isJson && (headers.get("content-type")?.includes("html") ?? false);
  if (!isBroken({ status, isJson, isHtml })) return { status, headers, data };
  const what = isHtml ? " (HTML)" : status < 300 ? " (no JSON)" : wordsOf(data, redact);
  const error = new LazarusError("forge-unreachable", `${call.doing}: the forge answered ${status}${what}`, {
    retryable: true,
  });
  return { error, retryAfterMs: retryAfter(headers.get("retry-after")), isTooMuch: status === 429 };
}

/** Whether it was somebody in between who answered, or a forge that could not: such a call may work later. */
function isBroken(seen: { status: number; isJson: boolean; isHtml: boolean }): boolean {
  if (seen.status >= 500 || seen.status === 429 || seen.status === 408) return true;
  // A redirect of Go's is a little HTML page, and honest.
  if (seen.isJson || seen.status === 204 || (seen.status >= 300 && seen.status < 400)) return false;
  return seen.isHtml || seen.status < 300;
}

function isAnswered(thrown: unknown): thrown is Answered {
  return thrown instanceof Response && "error" in thrown;
}

function unreachable(doing: string, cause: unknown, redact: (text: string) => string): LazarusError {
  if (cause instanceof AnswerTooLarge)
    return new LazarusError("forge-answer", `${doing}: ${cause.message}`, { cause });
  const isTimeout = cause instanceof Error && cause.name === "TimeoutError";
  const why = isTimeout ? "no answer in time" : (systemCode(cause) ?? redact(explain(cause)));
  return new LazarusError("forge-unreachable", `${doing}: the forge cannot be reached: ${why}`, {
    retryable: true,
  });
}

/** The forge's own words about an error, in one line and cut. */
function wordsOf(data: unknown, redact: (text: string) => string): string {
  if (typeof data !== "object" || data === null || !("message" in data) || typeof data.message !== "string")
    return "";
  const line = redact(data.message)
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, " ")
    .trim();
  return line === "" ? "" : `: ${line.slice(0, 300)}`;
}

/** Seconds only; a date would have to be compared with a clock that is not ours. */
function retryAfter(header: string | null): number | null {
  if (header === null || !/^\d{1,6}$/.test(header)) return null;
  return Number(header) * 1_000;
}

/** No read waits longer than this before it is sent again. */
function shortest(retryAfterMs: number | null): number | null {
  return retryAfterMs === null ? null : Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}
