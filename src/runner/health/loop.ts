import { readEvent } from "./loop-events.ts";

/** How often something must come again at the end of a log. */
interface Threshold {
  /** Longest block that is looked for. */
  readonly longest: number;
  /** Of the block together, at least. */
  readonly letters: number;
  /** Times in a row for a block of `length`. */
  needed(length: number): number;
}

/** A block with fewer letters is a dot of progress, a tick, a spinner; so is a line with fewer than two. */
const MIN_LETTERS = 12;

/** Forty lines and six times at least: some programs do say the same thing a few times over. */
const OUTPUT: Threshold = {
  longest: 60,
  letters: MIN_LETTERS,
  needed: (length) => Math.max(6, Math.ceil(40 / length)),
};
/** A tool that is called with the same input has nothing new to say, but polling is no loop at once. */
const CALLS: Threshold = { longest: 8, letters: 0, needed: (length) => (length === 1 ? 10 : 5) };
const TEXTS: Threshold = { longest: 4, letters: MIN_LETTERS, needed: (length) => (length === 1 ? 6 : 4) };

const SHOWN_CHARS = 80;

/**
 * What the end of a log shows again and again, in a few words; null where nothing does. Numbers count as
 * progress (`12%`, `ok 7`, `3/90`), but for times, durations, ids and counts of attempts, which differ in
 * every round of a loop. Of the presets' event streams the calls and the words are compared, of anything else
 * the lines.
 */
export function findLoop(log: string): string | null {
  const lines: string[] = [];
  const calls: string[] = [];
  const texts: string[] = [];
  for (const line of log.split("\n")) {
    const event = readEvent(line);
    if (event === null) lines.push(line);
    calls.push(...(event?.calls ?? []));
    texts.push(...(event?.texts ?? []));
  }
  const command = repeated(calls.map(normalized), CALLS);
  if (command !== null) return `the same command again and again: ${shown(command)}`;
  const said = repeated(texts.map(normalized).filter(hasWords), TEXTS);
  if (said !== null) return `it says the same again and again: ${shown(said)}`;
  const printed = repeated(lines.map(normalized).filter(hasWords), OUTPUT);
  return printed === null ? null : `the same output again and again: ${shown(printed)}`;
}

/** Whatever phase the block is in, the same one of its items stands for it. */
function repeated(items: readonly string[], threshold: Threshold): string | null {
  for (let length = 1; length <= threshold.longest && length < items.length; length++) {
    let same = 0;
    for (let at = items.length - 1 - length; at >= 0 && items[at] === items[at + length]; at--) same++;
    if (Math.floor(same / length) + 1 < threshold.needed(length)) continue;
    const block = items.slice(-length);
    // The shortest block is what repeats itself: a longer one would be many of it.
    if (letters(block.join("")) < threshold.letters) return null;
    return block.reduce((best, item) => (item.length > best.length ? item : best));
  }
  return null;
}

/** A line without what differs in each round of a loop. */
function normalized(line: string): string {
  const drawn = line.slice(0, 2_000).replace(/\r+$/, "");
  return (
    drawn
      // A bar that is drawn over itself is one line: what stands there at last.
      .slice(drawn.lastIndexOf("\r") + 1)
      .replace(/\x1B\[[0-?]*[ -/]*[@-~]/g, "")
      .replace(/\b\d{4}-\d\d-\d\d[T ]?|\b\d{1,2}:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?/g, "")
      .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, "")
      .replace(/\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b|\b0x[0-9a-f]+\b|\b\d{9,}(\.\d+)?\b/gi, "")
      .replace(/\b\d+(\.\d+)?\s?(ms|µs|us|ns|s|secs?|seconds?|mins?|minutes?|m|h)\b/gi, "")
      .replace(/\b(attempts?|retry|retries|retrying|try|tries|pid)\b(\W{0,3}\d+)(\s*(\/|of)\s*\d+)?/gi, "$1")
      .replace(/\s+/g, " ")
      .trim()
  );
}

function hasWords(line: string): boolean {
  return letters(line) >= 2;
}

function letters(text: string): number {
  return text.match(/\p{L}/gu)?.length ?? 0;
}

function shown(text: string): string {
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}
