import { nearest } from "../../nearest.ts";
import { typedLines } from "./command-lines.ts";

/** What the parser needs to know of a verb. */
export interface VerbGrammar {
  readonly verb: string;
  /** By the name as it is typed: `--ttl`. */
  readonly flags: Readonly<Record<string, "value" | "switch">>;
  /** Takes its words as they are, up to the next command; flags only before them. */
  readonly raw?: boolean;
}

/** One command of a comment as it was typed, or what keeps it from being one. `line` counts from 1. */
export type Parsed =
  | ({ readonly kind: "command"; readonly line: number } & Typed)
  | { readonly kind: "problem"; readonly line: number; readonly problem: Problem };

export interface Typed {
  readonly verb: string;
  readonly words: readonly string[];
  /** By the name as it is typed: `--ttl`. */
  readonly flags: Readonly<Record<string, string | boolean>>;
  /** What followed ` -- ` (of a raw verb: the verb), up to the next command, trimmed; null: nothing. */
  readonly text: string | null;
}

export interface Problem {
  readonly code:
    | "unknown-verb"
    | "open-quote"
    | "too-many"
    | "too-long"
    | "too-much-text"
    | "unknown-flag"
    | "repeated-flag"
    | "missing-value"
    | "unexpected-value";
  /** The word that is wrong, cut. */
  readonly typed: string;
  /** What was probably meant. */
  readonly hint: string | null;
}

export const MOST_COMMANDS = 10;
const LONGEST_COMMENT_BYTES = 64 * 1024;
/** Of the words of one command, without its raw text. */
const LONGEST_COMMAND = 2000;

/**
 * The commands of a comment or review in their order; none where nothing was said to us. Never throws,
 * whatever the text.
 */
export function parseCommands(text: string, grammar: readonly VerbGrammar[]): Parsed[] {
  if (Buffer.byteLength(text) > LONGEST_COMMENT_BYTES) return tooMuch(text);
  const lines = text.split(/\r\n|\r|\n/);
  const starts = typedLines(lines);
  const parsed = starts.slice(0, MOST_COMMANDS).map((start, index): Parsed => {
    const [first = "", ...rest] = lines.slice(start, starts[index + 1]);
    const said = parseCommand(first.trimStart().slice("/lazarus".length), rest, grammar);
    return "code" in said
      ? { kind: "problem", line: start + 1, problem: said }
      : { kind: "command", line: start + 1, ...said };
  });
  const beyond = starts[MOST_COMMANDS];
  if (beyond === undefined) return parsed;
  const typed = cut((lines[beyond] ?? "").trim());
  return [...parsed, { kind: "problem", line: beyond + 1, problem: { code: "too-many", typed, hint: null } }];
}

/** Of a text that is too long to be read as Markdown only one thing is said: whether somebody meant us. */
function tooMuch(text: string): Parsed[] {
  const at = text.search(/^ {0,3}\/lazarus(?=\s|$)/im);
  if (at < 0) return [];
  const line = lineNumberAt(text, at);
  return [{ kind: "problem", line, problem: { code: "too-much-text", typed: "/lazarus", hint: null } }];
}

/** The number of the line, from 1, that a place of a text lies in. There may be millions: no list is made. */
function lineNumberAt(text: string, at: number): number {
  let number = 1;
  for (let end = endOfLine(text, 0); end <= at; end = endOfLine(text, end)) number++;
  return number;
}

/** The text of a line, by its number from 1; empty where there are fewer. */
export function lineAt(text: string, number: number): string {
  let begin = 0;
  for (let n = 1; n < number && begin < text.length; n++) begin = endOfLine(text, begin);
  return text.slice(begin, endOfLine(text, begin)).replace(/[\r\n]+$/, "");
}

/** Where the line that holds a place ends, with its line break. */
function endOfLine(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === LF || (code === CR && text.charCodeAt(at + 1) !== LF)) return at + 1;
  }
  return text.length;
}

const [LF, CR] = [0x0a, 0x0d];

/** The words of a line as a shell would split it, without expansions. */
export function splitWords(line: string): { readonly words: string[] } | { readonly problem: Problem } {
  const words: string[] = [];
  for (let from = 0; ; ) {
    const token = nextToken(line, from);
    if (token === null) return { words };
    if (token.isOpen) return { problem: problem("open-quote", token.raw) };
    words.push(token.word);
    from = token.end;
  }
}

/** `rest` are the lines below, up to the next command. */
function parseCommand(
  line: string,
  rest: readonly string[],
  grammar: readonly VerbGrammar[],
): Typed | Problem {
  const first = nextToken(line, 0);
  if (first === null || first.word === "--help" || first.word === "--")
    return { verb: "help", words: [], flags: {}, text: null };
  if (first.isOpen) return problem("open-quote", first.raw);
  const typed = first.word.toLowerCase();
  const known = grammar.find((each) => each.verb === typed);
  if (known === undefined)
    return problem(
      "unknown-verb",
      first.word,
      nearest(
        typed,
        grammar.map((each) => each.verb),
      ),
    );
  const from = { line, start: first.end, rest };
  return known.raw ? parseRaw(known, from) : parseWords(known, from);
}

interface Remainder {
  readonly line: string;
  /** Where in `line` the verb ends. */
  readonly start: number;
  readonly rest: readonly string[];
}

function parseRaw(known: VerbGrammar, { line, start, rest }: Remainder): Typed | Problem {
  const read = leadingFlags(known, line, start);
  if ("code" in read) return read;
  const text = rawText(line.slice(read.end), rest);
  return { verb: known.verb, words: [], flags: read.flags, text };
}

/**
 * The flags of a raw verb that stand at one place of its words, and where the words go on; ` -- ` ends them.
 * What only looks like a flag is a word.
 */
export function leadingFlags(
  known: VerbGrammar,
  line: string,
  start: number,
): { readonly flags: Record<string, string | boolean>; readonly end: number } | Problem {
  const flags: Record<string, string | boolean> = {};
  for (let end = start; ; ) {
    const token = nextToken(line, end);
    if (token?.raw === "--") return { flags, end: token.end };
    const name = token?.raw.split("=", 1)[0]?.toLowerCase() ?? "";
    if (token === null || !Object.hasOwn(known.flags, name)) return { flags, end };
    const flag = readFlag(known, token, nextToken(line, token.end));
    if ("code" in flag) return flag;
    if (Object.hasOwn(flags, flag.name)) return problem("repeated-flag", flag.name);
    flags[flag.name] = flag.value;
    end = flag.end;
  }
}

function parseWords(known: VerbGrammar, { line, start, rest }: Remainder): Typed | Problem {
  const words: string[] = [];
  const flags: Record<string, string | boolean> = {};
  for (let from = start; ; ) {
    const token = nextToken(line, from);
    if (token === null) return { verb: known.verb, words, flags, text: null };
    if (token.raw === "--")
      return { verb: known.verb, words, flags, text: rawText(line.slice(token.end), rest) };
    if (token.end > LONGEST_COMMAND) return problem("too-long", token.raw);
    if (token.isOpen) return problem("open-quote", token.raw);
    from = token.end;
    if (!token.raw.startsWith("--")) {
      words.push(token.word);
      continue;
    }
    const flag = readFlag(known, token, nextToken(line, from));
    if ("code" in flag) return flag;
    if (Object.hasOwn(flags, flag.name)) return problem("repeated-flag", flag.name);
    flags[flag.name] = flag.value;
    from = flag.end;
  }
}

/** `--flag`, `--flag=value`, or `--flag` and the word after it. */
function readFlag(
  known: VerbGrammar,
  token: Token,
  next: Token | null,
): { name: string; value: string | boolean; end: number } | Problem {
  const equals = token.word.indexOf("=");
  const name = (equals < 0 ? token.word : token.word.slice(0, equals)).toLowerCase();
  const takes = Object.hasOwn(known.flags, name) ? known.flags[name] : undefined;
  if (takes === undefined) return problem("unknown-flag", name, nearest(name, Object.keys(known.flags)));
  if (takes === "switch")
    return equals < 0 ? { name, value: true, end: token.end } : problem("unexpected-value", token.word);
  if (equals >= 0) {
    const value = token.word.slice(equals + 1);
    return value === "" ? problem("missing-value", name) : { name, value, end: token.end };
  }
  if (next?.isOpen) return problem("open-quote", next.raw);
  if (next === null || next.raw.startsWith("--") || next.word === "") return problem("missing-value", name);
  return { name, value: next.word, end: next.end };
}

function rawText(line: string, rest: readonly string[]): string | null {
  return [line, ...rest].join("\n").trim() || null;
}

function problem(code: Problem["code"], typed: string, hint: string | null = null): Problem {
  return { code, typed: cut(typed), hint };
}

function cut(typed: string): string {
  return typed.length > 80 ? `${typed.slice(0, 79)}…` : typed;
}

interface Token {
  /** Without its quotes. */
  readonly word: string;
  /** As typed: a flag that was quoted is none. */
  readonly raw: string;
  readonly end: number;
  /** A quote that was never closed. */
  readonly isOpen: boolean;
}

/** 'as it is', "with \" and \\", and a backslash before anything else outside quotes. */
const PIECE = /'([^']*)'|"([^"\\]*(?:\\.[^"\\]*)*)"|\\(.)|([^\s'"\\]+)|(['"].*|\\$)/suy;

function nextToken(line: string, from: number): Token | null {
  const start = from + (line.slice(from).length - line.slice(from).trimStart().length);
  if (start >= line.length) return null;
  let word = "";
  let end = start;
  for (;;) {
    PIECE.lastIndex = end;
    const piece = PIECE.exec(line);
    if (piece === null) return { word, raw: line.slice(start, end), end, isOpen: false };
    const [all, single, double, escaped, plain, open] = piece;
    end += all.length;
    if (open !== undefined && open !== "\\") return { word, raw: line.slice(start), end, isOpen: true };
    word += single ?? double?.replace(/\\(["\\])/g, "$1") ?? escaped ?? plain ?? open ?? "";
  }
}
