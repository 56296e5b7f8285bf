import { tokensIn } from "../../protocol/usage.ts";

/**
 * One thing that an agent's stream of events tells, whatever its vendor's words for it are. Texts are the
 * agent's, cut, and may hold anything.
 */
export type AgentEvent =
  /** A session begins: program, model, mode. */
  | { readonly kind: "began"; readonly what: string; readonly session?: string }
  /** The agent speaks; `isPart`: the next words go on in the same line. */
  | { readonly kind: "words"; readonly text: string; readonly isPart: boolean }
  /** Something beside the work: a thought, a helper of its own, a warning. */
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "ran"; readonly id: string; readonly command: string }
  /** Another tool than a shell: its name, and what it was used on. */
  | { readonly kind: "used"; readonly id: string; readonly tool: string; readonly on: string }
  | Outcome
  | { readonly kind: "denied"; readonly id: string; readonly what: string; readonly why: string }
  /** Its model or its program refuses or fails. */
  | { readonly kind: "trouble"; readonly text: string }
  | Told
  /** One round with its model is over. */
  | { readonly kind: "round"; readonly costUsd: number | null }
  | Ended;

/** What it says it used. Amounts that cannot be are null. */
export interface Told {
  readonly kind: "told";
  /** `part`: of one answer of its model, perhaps told several times; `total`: of all so far. */
  readonly of: "part" | "total";
  /** Which part; of a total empty. */
  readonly id: string;
  /** It may count from the beginning of its session, which an earlier run began. */
  readonly isOfSession?: boolean;
  readonly costUsd: number | null;
  readonly tokens: number | null;
}

/** What came of a command or another tool; `exit` where it is told. */
export interface Outcome {
  readonly kind: "outcome";
  readonly id: string;
  readonly exit: number | null;
  readonly isFailed: boolean;
  readonly output: string;
}

export interface Ended {
  readonly kind: "ended";
  readonly isWell: boolean;
  /** Its answer, or what went wrong. */
  readonly words: string;
  readonly turns: number | null;
  readonly costUsd: number | null;
}

/**
 * Reads one event of one vendor: null where it is none of its events, empty where it tells nothing to people.
 */
export type EventReader = (event: Json) => AgentEvent[] | null;

export type Json = Readonly<Record<string, unknown>>;

/** Longer texts are cut where they enter: an event may be as long as a log. */
const MOST_CHARS = 20_000;
const COMMAND_CHARS = 2_000;

/** A value as an object; an empty one where it is none. */
export function record(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MOST_CHARS) : "";
}

/** The beginning and the end of what a program printed, which is where it says what it is and how it went. */
export function outputText(value: unknown): string {
  const all = textsOf(value);
  return all.length <= MOST_CHARS ? all : `${all.slice(0, MOST_CHARS / 2)}\n…\n${all.slice(-MOST_CHARS / 2)}`;
}

function textsOf(value: unknown): string {
  if (typeof value === "string") return value;
  const parts = list(value).slice(0, 50);
  return parts.map((part) => (typeof part === "string" ? part : text(record(part).text))).join("\n");
}

export function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

const SHELLS: ReadonlySet<string> = new Set(["Bash", "bash", "shell", "run_shell_command"]);
const ON = ["file_path", "filePath", "absolute_path", "path", "pattern", "query", "url", "description"];

/**
 * A call of a tool: a command where the tool is a shell, else the tool with the most telling of its
 * arguments.
 */
export function called(id: unknown, tool: unknown, input: unknown): AgentEvent {
  const args = record(input);
  const name = text(tool).slice(0, 100);
  const { command } = args;
  if (SHELLS.has(name) && typeof command === "string")
    return { kind: "ran", id: text(id), command: command.slice(0, COMMAND_CHARS) };
  const on = ON.map((key) => text(args[key])).find((one) => one !== "") ?? "";
  return { kind: "used", id: text(id), tool: name, on: on.slice(0, COMMAND_CHARS) };
}

/** The sum of these counts; null where none of them is there. A count that cannot be one spoils the sum. */
export function sumOf(...counts: readonly unknown[]): number | null {
  const told = counts.filter((one) => one !== undefined && one !== null);
  const all = told.map(tokensIn);
  if (all.length === 0 || all.some((one) => one === null)) return null;
  return tokensIn(all.reduce<number>((sum, one) => sum + (one ?? 0), 0));
}
