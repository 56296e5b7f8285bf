import { formatCost, formatCount } from "../../units.ts";
import { plain } from "../../visible.ts";
import type { AgentEvent, Ended, Outcome } from "./event.ts";
import { readLine } from "./read-line.ts";

/** Turns a log, piece by piece, into what a person reads: events in words, everything else as it is. */
export interface LogRenderer {
  /** The next piece of the log; answers what is whole of it. */
  push(piece: string): string;
  /** What was still waiting for its line's end. */
  end(): string;
}

/** An event may be as long as a log; what waits for its end longer than this is given up. */
const MOST_WAITING_CHARS = 4 * 1024 * 1024;
/** Of a line that is no event. */
const LINE_CHARS = 2_000;
const WORDS_CHARS = 8_000;
const HEAD_LINES = 4;
const TAIL_LINES = 8;

/**
 * Pure but for what it keeps of the pieces before; any text may come. Control characters, bidi and escapes
 * are gone from what it answers, secrets are not.
 */
export function createLogRenderer(): LogRenderer {
  const state: State = { last: null, commands: new Map(), isOpen: false, isHalf: false };
  let waiting = "";
  return {
    push(piece) {
      const lines = `${waiting}${piece}`.split("\n");
      waiting = lines.pop() ?? "";
      let out = lines.map((line) => ofLine(line, state)).join("");
      if (waiting !== "" && (state.isHalf || !waiting.startsWith("{"))) {
        out += closed(state) + visible(waiting);
        state.isHalf = true;
        waiting = "";
      } else if (waiting.length > MOST_WAITING_CHARS) waiting = waiting.slice(0, LINE_CHARS);
      return out;
    },
    end() {
      const out = waiting === "" && !state.isHalf ? "" : ofLine(waiting, state);
      waiting = "";
      return out + closed(state);
    },
  };
}

/** A whole text at once; `isCut`: it begins in the middle of a log, and so perhaps of an event. */
export function renderLog(log: string, isCut = false): string {
  const renderer = createLogRenderer();
  return renderer.push(isCut ? withoutHalfEvent(log) : log) + renderer.end();
}

/** Without the first line of what begins anywhere in a log, where it is the end of an event. */
export function withoutHalfEvent(log: string): string {
  const end = log.indexOf("\n");
  const rest = end < 0 ? "" : log.slice(end + 1);
  if (rest.trim() === "")
    return /":[^\n]*[}\]]\s*$/.test(log.slice(-2_000))
      ? "[the end of an event that is too long to be shown]\n"
      : log;
  return rest.startsWith("{") && readLine(rest.split("\n", 1)[0] ?? "") !== null ? rest : log;
}

interface State {
  /** The call whose line was written last. */
  last: string | null;
  readonly commands: Map<string, string>;
  /** Words were written that may go on in the same line. */
  isOpen: boolean;
  /** The beginning of a line that is no event was given out. */
  isHalf: boolean;
}

function ofLine(line: string, state: State): string {
  const events = state.isHalf ? null : readLine(line);
  if (events !== null) return events.map((event) => ofEvent(event, state)).join("");
  const before = closed(state);
  state.isHalf = false;
  return `${before}${visible(line)}\n`;
}

function ofEvent(event: AgentEvent, state: State): string {
  switch (event.kind) {
    case "began":
      return closed(state) + block(`[${event.what}]`);
    case "words":
      return ofWords(event, state);
    case "note":
      return event.text.trim() === "" ? "" : closed(state) + indented(cut(event.text, 1_000), "  ~ ");
    case "ran":
      return started(event.id, `$ ${event.command}`, state);
    case "used":
      return started(event.id, `* ${`${event.tool} ${event.on}`.trim()}`, state);
    case "outcome":
      return closed(state) + ofOutcome(event, state);
    case "denied":
      return (
        closed(state) +
        block(`! not allowed${after(event.what || nameOf(event.id, state))}${after(event.why)}`)
      );
    case "trouble":
      return closed(state) + block(`! ${event.text}`);
    case "round":
    case "told":
      return "";
    case "ended":
      return closed(state) + ofEnd(event);
    default:
      return event satisfies never;
  }
}

function ofWords(event: { readonly text: string; readonly isPart: boolean }, state: State): string {
  state.last = null;
  const before = event.isPart ? "" : closed(state);
  const words = visible(event.text, WORDS_CHARS);
  if (!event.isPart) return `${before}${words.trimEnd()}\n`;
  state.isOpen = !words.endsWith("\n");
  return words;
}

/** Ends the line that is not ended yet. */
function closed(state: State): string {
  const end = state.isOpen ? "\n" : "";
  state.isOpen = false;
  return end;
}

/** Some agents tell a call before and after it runs: it stands there once. */
function started(id: string, call: string, state: State): string {
  if (state.commands.has(id)) return "";
  if (state.commands.size > 1_000) state.commands.clear();
  state.commands.set(id, call);
  state.last = id;
  return closed(state) + block(call.replaceAll("\n", "\n  "));
}

function ofOutcome(event: Outcome, state: State): string {
  const call = nameOf(event.id, state);
  const isShell = call.startsWith("$ ");
  const which = state.last === event.id || call === "" ? "" : block(`  (${firstLine(call)})`);
  state.last = event.id;
  // What a tool read is in the repository; what a command printed is nowhere else.
  const output = isShell || event.isFailed || call === "" ? indented(shortened(event.output), "  ") : "";
  const how = event.exit !== null ? `exit ${event.exit}` : event.isFailed ? "failed" : null;
  return which + output + (how === null ? "" : `  -> ${how}\n`);
}

function ofEnd(event: Ended): string {
  const counts = [
    event.turns === null ? "" : formatCount(event.turns, "turn"),
    event.costUsd === null ? "" : formatCost(event.costUsd),
  ].filter((one) => one !== "");
  const used = counts.length === 0 ? "" : `, ${counts.join(", ")}`;
  return block(
    event.isWell ? `[done${used}]` : `[failed${used}${event.words === "" ? "" : `: ${event.words}`}]`,
  );
}

function nameOf(id: string, state: State): string {
  return state.commands.get(id) ?? "";
}

function after(words: string): string {
  return words === "" ? "" : `: ${words}`;
}

function firstLine(text: string): string {
  return cut(text.split("\n")[0] ?? "", 200);
}

function block(text: string): string {
  return `${visible(text)}\n`;
}

function indented(text: string, by: string): string {
  const words = visible(text, WORDS_CHARS).trim();
  if (words === "") return "";
  return `${words
    .split("\n")
    .map((line) => `${by}${line}`.trimEnd())
    .join("\n")}\n`;
}

/** The beginning and the end of what a program printed. */
function shortened(output: string): string {
  const lines = output.trimEnd().split("\n");
  const left = lines.length - HEAD_LINES - TAIL_LINES;
  const kept =
    left < 2
      ? lines
      : [...lines.slice(0, HEAD_LINES), `… ${left} lines left out …`, ...lines.slice(-TAIL_LINES)];
  return kept.map((line) => cut(line, 400)).join("\n");
}

function visible(text: string, mostChars = LINE_CHARS): string {
  return cut(plain(text), mostChars);
}

function cut(text: string, mostChars: number): string {
  return text.length <= mostChars ? text : `${text.slice(0, mostChars)}… [${text.length - mostChars} more]`;
}
