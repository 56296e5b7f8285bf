import type { Signs } from "../../protocol/shapes.ts";
import { readEvents } from "./agent-events.ts";
import { resetTime } from "./reset-time.ts";

/**
 * How many lines of a log's end are looked at: what ended a run stands there, what it worked on stands
 * before.
 */
const LINES = 30;
const WORDS_LENGTH = 200;

/** A limit that time lifts. */
const QUOTA = [
  /\b(?:rate|usage|request|token|session|hourly|daily|weekly|monthly|hour|day|spending|plan)[ -_]?limits?\b.{0,60}\b(?:reached|exceeded|hit)\b/i,
  /\b(?:reached|exceeded|hit|over)\b.{0,40}\b(?:rate|usage|request|token|session|daily|weekly|monthly|your|quota)\b.{0,20}\b(?:limits?|quota)\b/i,
  /\blimit reached\|\d{10}/,
  /\bquota (?:was |has been |is )?exceeded\b|\bexceeded your (?:current |monthly )?quota\b/i,
  /\brate[ _-]?limit(?:ed|ing|_error|_exceeded)\b|\bRateLimitError\b|\busage_limit_reached\b|\bRESOURCE_EXHAUSTED\b|\btoo many requests\b/i,
  /\b(?:status|error|code|http|api error)\W{0,4}429\b|\b429\b.{0,20}\b(?:error|status|too many)/i,
];

/** What no waiting mends: somebody must log in. */
const LOGIN = [
  /\bnot (?:logged|signed) in\b|\b(?:please )?(?:run|use|type) [`'"]?(?:\S+ )?\/?(?:auth )?login\b/i,
  /\b(?:invalid|incorrect|missing|no|unknown|expired|revoked|malformed)\b.{0,20}\b(?:api|x-api|auth|access|oauth|bearer)[ _-]?(?:key|token)s?\b/i,
  /\bapi[ _-]?key\b.{0,30}\b(?:not valid|invalid|missing|required|not set|not found|not provided|must be set|expired|incorrect)\b|\bAPI_KEY_INVALID\b|\binvalid_api_key\b/i,
  /\b(?:oauth|auth|access) token\b.{0,30}\b(?:expired|revoked|invalid)\b/i,
  /\bauthentication_error\b|\bAuthenticationError\b|\bauthentication (?:failed|required)\b|\bset an auth method\b/i,
  /\b(?:status|error|code|http|api error)\W{0,4}40[13]\b|\b401\b.{0,20}\bunauthorized\b|\bunauthorized\b.{0,20}\b401\b/i,
];

/**
 * What no waiting mends either: somebody must pay. codex says the last for `insufficient_quota`, qwen the
 * first; gemini's says when it resets.
 */
const CREDIT = [
  /\bexceeded your current quota, please check your plan and billing details\b/i,
  /\bcredit balance is too low\b|\binsufficient_quota\b|\bbilling\b.{0,30}\b(?:inactive|not active|hard limit)\b/i,
  /\b(?:insufficient|no|not enough|out of)\b.{0,20}\b(?:credits?|funds|balance)\b(?! card)|\bpayment required\b/i,
  /\bcredits?\b.{0,20}\b(?:depleted|exhausted|used up)\b/i,
  /\bcredits? (?:is|are|has been|have been) (?:depleted|exhausted|used up)\b/i,
  /\b(?:status|error|code|http|api error)\W{0,4}402\b|^(?:error: )?quota exceeded\. check your plan and billing details/i,
];

/**
 * What the end of a run's log says of how it went: the agent's own last event where it writes events, else
 * words of the last lines. Lines of programs that the agent ran may be among them, so these are signs and no
 * proof: an exit code and the branch decide beside them. Pure.
 */
export function signsIn(
  log: string,
  how: {
    /** Whether it is an agent whose stream of events is known. */
    readonly isKnown: boolean;
    /** Epoch ms, when it was said. */
    readonly at: number;
  },
): Omit<Signs, "isOutOfMemory" | "isOverMemory" | "isRebooted"> {
  const { last, plain } = readEvents(log, how.isKnown);
  const ofEvent = last === null || last.ok ? [] : last.words.split("\n").reverse();
  const lines = [...ofEvent, ...plain.slice(-LINES).reverse()];
  const read = (some: readonly string[]) => some.flatMap((line) => meaningOf(line, how.at));
  // claude's words for a refusal change; the number beside them does not.
  const ofStatus = last === null || last.ok ? [] : meaningOfStatus(last.status, last.words);
  const told = [...read(ofEvent), ...ofStatus, ...read(lines)].at(0);
  return {
    event: last === null ? null : last.ok ? "ok" : "failed",
    says: last === null || last.ok ? "" : cut(last.words.split("\n")[0] ?? ""),
    ownLimit: last?.ownLimit ?? null,
    quota:
      told?.kind === "quota"
        ? { words: told.words, resetsAt: told.resetsAt ?? nearbyReset(lines, how.at) }
        : null,
    login: told?.kind === "login" ? told.words : null,
    credit: told?.kind === "credit" ? told.words : null,
  };
}

type Meaning =
  | { readonly kind: "quota"; readonly words: string; readonly resetsAt: number | null }
  | { readonly kind: "login" | "credit"; readonly words: string };

function meaningOf(line: string, at: number): Meaning[] {
  const text = line.slice(0, 4_000);
  const isQuota = QUOTA.some((one) => one.test(text));
  const isLogin = LOGIN.some((one) => one.test(text));
  const isCredit = CREDIT.some((one) => one.test(text));
  if (!isQuota && !isLogin && !isCredit) return [];
  const resetsAt = resetTime(text, at);
  // "exceeded your quota, see your billing" with a time is one that time lifts.
  if (isQuota && ((!isLogin && !isCredit) || resetsAt !== null))
    return [{ kind: "quota", words: cut(text), resetsAt }];
  return [{ kind: isCredit ? "credit" : "login", words: cut(text) }];
}

/** @see RFC 9110 for 401 to 403, RFC 6585 for 429 */
function meaningOfStatus(status: number | null, says: string): Meaning[] {
  const words = cut(says.split("\n")[0] || `status ${status}`);
  if (status === 401 || status === 403) return [{ kind: "login", words }];
  if (status === 402) return [{ kind: "credit", words }];
  return status === 429 ? [{ kind: "quota", words, resetsAt: null }] : [];
}

/** `Retry-After` and the like often stand on a line of their own. */
function nearbyReset(lines: readonly string[], at: number): number | null {
  return lines.map((line) => resetTime(line.slice(0, 4_000), at)).find((one) => one !== null) ?? null;
}

function cut(text: string): string {
  const one = text.trim().replace(/\s+/g, " ");
  return one.length > WORDS_LENGTH ? `${one.slice(0, WORDS_LENGTH)}…` : one;
}
