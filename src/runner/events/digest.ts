import type { Said } from "../../protocol/shapes.ts";
import { plain } from "../../visible.ts";
import type { AgentEvent, Ended, Outcome } from "./event.ts";
import { readLine } from "./read-line.ts";

const WORDS_CHARS = 2_000;
const COMMAND_CHARS = 200;
const LINE_CHARS = 200;
const MOST_COMMANDS = 10;
const MOST_DENIALS = 5;

interface Ran {
  readonly command: string;
  outcome: Outcome | null;
}

interface Seen {
  words: string;
  isOpen: boolean;
  trouble: string;
  rounds: number;
  roundsCost: number | null;
  ended: Ended | null;
  readonly ran: Map<string, Ran>;
  readonly denied: Map<string, { readonly what: string; readonly why: string }>;
  /** What each other tool answered where it failed: a denial names its call only. */
  readonly failures: Map<string, string>;
}

/**
 * What an agent's own events say of what it said and did; null where its log holds none. `isCut`: the log's
 * beginning is missing, so nothing is counted. Its texts are in one line each, plain and cut. Pure; any text
 * may come.
 */
export function digest(log: string, isCut: boolean): Said | null {
  const seen: Seen = {
    ...{ words: "", isOpen: false, trouble: "", rounds: 0, roundsCost: null, ended: null },
    ...{ ran: new Map(), denied: new Map(), failures: new Map() },
  };
  let isTold = false;
  for (const line of log.split("\n")) {
    const events = readLine(line);
    if (events === null) continue;
    isTold = true;
    for (const event of events) note(event, seen);
  }
  return isTold ? saidOf(seen, isCut) : null;
}

function note(event: AgentEvent, seen: Seen): void {
  switch (event.kind) {
    case "words":
      seen.words =
        event.isPart && seen.isOpen ? (seen.words + event.text).slice(-10 * WORDS_CHARS) : event.text;
      seen.isOpen = event.isPart;
      // It went on after that.
      seen.trouble = "";
      return;
    case "ran":
      seen.isOpen = false;
      if (!seen.ran.has(event.id)) seen.ran.set(event.id, { command: event.command, outcome: null });
      return;
    case "outcome":
      noteOutcome(event, seen);
      return;
    case "denied":
      noteDenial(event, seen);
      return;
    case "trouble":
      seen.trouble = event.text;
      return;
    case "round":
      seen.rounds++;
      if (event.costUsd !== null) seen.roundsCost = (seen.roundsCost ?? 0) + event.costUsd;
      return;
    case "ended":
      seen.ended = event;
      return;
    case "used":
      seen.isOpen = false;
      return;
    case "began":
    case "note":
    case "told":
      return;
    default:
      event satisfies never;
  }
}

function noteOutcome(event: Outcome, seen: Seen): void {
  const ran = seen.ran.get(event.id);
  if (ran !== undefined) ran.outcome = event;
  if (event.isFailed) seen.failures.set(event.id, event.output);
}

function noteDenial(event: Extract<AgentEvent, { kind: "denied" }>, seen: Seen): void {
  const what = event.what || (seen.ran.get(event.id)?.command ?? "");
  seen.denied.set(event.id, { what, why: event.why || (seen.failures.get(event.id) ?? "") });
  // It was never run.
  seen.ran.delete(event.id);
}

function saidOf(seen: Seen, isCut: boolean): Said {
  const { ended } = seen;
  const isFailed = ended?.isWell === false;
  const all = [...seen.ran.values()];
  const cost = ended?.costUsd ?? seen.roundsCost;
  return {
    // Where it failed, its result is no answer.
    words: inParagraphs((isFailed ? "" : (ended?.words ?? "")) || seen.words),
    ran: all.slice(-MOST_COMMANDS).map(ranOf),
    commands: isCut ? null : all.length,
    failed: isCut ? null : all.filter((one) => one.outcome?.isFailed === true).length,
    denied: [...seen.denied.values()].slice(0, MOST_DENIALS).map(({ what, why }) => ({
      what: inOneLine(what, COMMAND_CHARS),
      why: inOneLine(why, LINE_CHARS),
    })),
    denials: seen.denied.size,
    turns: ended?.turns ?? (isCut || seen.rounds === 0 ? null : seen.rounds),
    // A subscription costs nothing that an agent could tell.
    costUsd: cost === null || cost === 0 || (isCut && ended?.costUsd == null) ? null : cost,
    trouble: inOneLine(isFailed ? ended.words : seen.trouble, LINE_CHARS),
  };
}

function ranOf({ command, outcome }: Ran): Said["ran"][number] {
  return {
    command: inOneLine(command, COMMAND_CHARS),
    exit: outcome?.exit ?? null,
    isFailed: outcome?.isFailed === true,
    end: outcome?.isFailed === true ? inOneLine(lastLine(outcome.output), LINE_CHARS) : "",
  };
}

/** What a program said last of how it went: npm adds what is new in the world. */
function lastLine(output: string): string {
  const lines = plain(output)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines.filter((line) => !/^npm (?:notice|warn)\b/i.test(line)).at(-1) ?? lines.at(-1) ?? "";
}

function inOneLine(text: string, mostChars: number): string {
  return cut(plain(text).replace(/\s+/g, " ").trim(), mostChars);
}

function inParagraphs(text: string): string {
  return cut(
    plain(text)
      .replace(/[ \t]+\n/g, "\n")
      .replace(/\n{3,}/g, "\n\n")
      .trim(),
    WORDS_CHARS,
  );
}

function cut(text: string, mostChars: number): string {
  return text.length <= mostChars ? text : `${text.slice(0, mostChars)}…`;
}
