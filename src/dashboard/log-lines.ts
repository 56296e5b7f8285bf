const ESCAPES =
  /(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]/g;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * What a program printed, as text that does nothing: links and titles of terminals go first, since others
 * would leave half of them, then sequences, then control characters. What turns the direction of reading is
 * shown as what it is.
 */
export function logText(text: string): string {
  return text
    .replace(ESCAPES, "")
    .replace(/\r\n?/g, "\n")
    .replace(CONTROLS, "")
    .replace(TURNS, (one) => `⟨U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`)
    .replace(/\p{Cs}/gu, "\ufffd");
}

/** A longer line is cut: browsers lay out a line of megabytes for minutes. */
const LONGEST_LINE = 4_000;

/** The last `most` lines, each cut, and how many there were before them. */
export function lastLines(text: string, most: number): { readonly lines: string[]; readonly before: number } {
  const all = text.replace(/\n$/, "").split("\n");
  const lines = all
    .slice(-most)
    .map((line) =>
      line.length > LONGEST_LINE
        ? `${line.slice(0, LONGEST_LINE)}… (${line.length - LONGEST_LINE} more characters)`
        : line,
    );
  return { lines: text === "" ? [] : lines, before: Math.max(0, all.length - most) };
}
