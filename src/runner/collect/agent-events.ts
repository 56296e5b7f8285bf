import * as z from "zod";

/** The last thing an agent's own stream of events says of how its run went. */
export interface LastEvent {
  readonly ok: boolean;
  /** What went wrong, in its words; empty where it does not say. */
  readonly words: string;
  /** It came to a limit of its own: turns, money. */
  readonly ownLimit: string | null;
  /** The HTTP status of the model's refusal, where the agent tells it as a number. */
  readonly status: number | null;
}

const line = z.looseObject({ type: z.string() });

/**
 * How a known agent ends its stream: claude, codex, opencode, gemini, qwen. @see each vendor's documentation
 * of its JSON output
 */
const EVENTS: Readonly<Record<string, (event: Record<string, unknown>) => LastEvent | null>> = {
  result: ofResult,
  "turn.completed": () => WELL,
  "turn.failed": (event) => failed(textOf(event.error)),
  step_finish: () => WELL,
  error: (event) => failed(textOf(event.error) || textOf(event)),
};

const WELL: LastEvent = { ok: true, words: "", ownLimit: null, status: null };

/**
 * The last event in the end of a log that says how the run went, and the lines that are no events. Of a
 * command that is no known agent (`isKnown` false) only what is unmistakable is believed. Pure; any text may
 * come.
 */
export function readEvents(log: string, isKnown: boolean): { last: LastEvent | null; plain: string[] } {
  const plain: string[] = [];
  let last: LastEvent | null = null;
  for (const text of log.split("\n")) {
    const event = text.startsWith("{") ? parse(text) : null;
    if (event === null) {
      if (text.trim() !== "") plain.push(text);
      continue;
    }
    const isClear =
      event.type === "result" || event.type === "turn.failed" || event.type === "turn.completed";
    if (isKnown || isClear) last = EVENTS[event.type]?.(event) ?? last;
  }
  return { last, plain };
}

function parse(text: string): z.infer<typeof line> | null {
  try {
    const parsed = line.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    // A line that begins like an event and is none.
    return null;
  }
}

function ofResult(event: Record<string, unknown>): LastEvent | null {
  const { subtype, is_error: isError, status } = event;
  if (typeof isError !== "boolean" && typeof status !== "string") return null;
  const words = textOf(event.error) || textOf(event.errors) || textOf(event.result);
  const kind = typeof subtype === "string" ? subtype : "";
  const limit = /^error_max_(turns|budget\w*)$/.exec(kind)?.[1];
  if (limit !== undefined) {
    const what = limit === "turns" ? "its own limit of turns" : "its own budget";
    return { ok: false, words, ownLimit: what, status: null };
  }
  const went = isError !== true && status !== "error" && !kind.startsWith("error");
  // qwen says success and puts the error where the answer would be.
  if (went && !words.startsWith("[API Error")) return WELL;
  const refusal = event.api_error_status;
  return failed(words || kind, typeof refusal === "number" ? refusal : null);
}

function failed(words: string, status: number | null = null): LastEvent {
  return { ok: false, words, ownLimit: null, status };
}

/** The text of an error, however deep the agent keeps it. */
function textOf(value: unknown, depth = 0): string {
  if (typeof value === "string") return value.slice(0, 2_000);
  if (depth > 3 || typeof value !== "object" || value === null) return "";
  if (Array.isArray(value))
    return value
      .slice(0, 5)
      .map((one) => textOf(one, depth + 1))
      .join("; ");
  const { name, type, message, data, error, statusCode, code, status, responseBody } = value as Record<
    string,
    unknown
  >;
  const said = textOf(message, depth + 1) || textOf(data, depth + 1) || textOf(error, depth + 1);
  const words = said + codeIn(responseBody);
  // An event's own type says no more than that it is one.
  if (words === "" || (depth === 0 && type !== undefined)) return words;
  const number = [statusCode, code, status].find((one) => typeof one === "number");
  const label = [name, type].find((one) => typeof one === "string");
  return [label, number === undefined ? undefined : `status ${number}:`, words]
    .filter((one) => one !== undefined)
    .join(" ")
    .slice(0, 2_000);
}

/**
 * opencode hands on the model's answer as it came: its code tells a quota that time lifts from one that
 * somebody must pay for.
 */
function codeIn(responseBody: unknown): string {
  if (typeof responseBody !== "string") return "";
  const code = /"code"\s*:\s*"([\w.-]{1,60})"/.exec(responseBody.slice(0, 4_000))?.[1];
  return code === undefined ? "" : ` (${code})`;
}
