import { clean } from "../../protocol/agent-text.ts";
import { firstBytes } from "../../visible.ts";
import { listEntries, typedLines } from "./command-lines.ts";

const MOST_WORDS_BYTES = 4 * 1024;
/** A text that is larger is one point: nobody reads it as Markdown. */
const MOST_READ_BYTES = 64 * 1024;

/** What is asked for at a line: the words without commands and what people do not see, cut; may be empty. */
export function pointWords(body: string): string {
  return cut(clean(withoutCommands(body).join("\n")));
}

/**
 * The points of a review's text: each top-level entry of a list is one, and what stands around them is one
 * more. Commands, and what follows a `tell`, are none of them.
 */
export function pointsIn(body: string): string[] {
  const lines = withoutCommands(body);
  const text = lines.join("\n");
  if (Buffer.byteLength(text) > MOST_READ_BYTES) return [cut(clean(text))];
  const entries = listEntries(lines);
  const isInEntry = new Set(
    entries.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, at) => from + at)),
  );
  const points = entries.map(({ from, to }) => cut(clean(withoutMark(lines.slice(from, to)))));
  const rest = clean(lines.filter((_, at) => !isInEntry.has(at)).join("\n"));
  // `Please:` above a list asks for nothing by itself.
  const isIntroduction = entries.length > 0 && /^[^\n]*:$/.test(rest);
  return [...points, ...(isIntroduction ? [] : [cut(rest)])].filter((one) => one !== "");
}

/** The lines of a text, with those of commands empty. */
function withoutCommands(body: string): string[] {
  const lines = body.split(/\r\n|\r|\n/);
  const starts = Buffer.byteLength(body) > MOST_READ_BYTES ? [] : typedLines(lines);
  for (const [index, start] of starts.entries()) {
    const isRaw = /^\s*\/lazarus\s+tell\b/i.test(lines[start] ?? "");
    const end = isRaw ? (starts[index + 1] ?? lines.length) : start + 1;
    lines.fill("", start, end);
  }
  return lines;
}

/** Without the bullet or number of an entry, and with its other lines as far to the left. */
function withoutMark(lines: readonly string[]): string {
  const [first = "", ...rest] = lines;
  const mark = /^\s*(?:[-+*]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?/.exec(first)?.[0] ?? "";
  return [first.slice(mark.length), ...rest.map((line) => line.replace(/^\s{1,4}/, ""))].join("\n");
}

function cut(text: string): string {
  if (Buffer.byteLength(text) <= MOST_WORDS_BYTES) return text;
  return `${firstBytes(text, MOST_WORDS_BYTES)}\n…`;
}
