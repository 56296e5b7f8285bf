/**
 * The ways in which a text is read when something is looked for in it, as none finds what all find. `plain`:
 * without what people and programs put between characters. `quoted`: also without the signs at line starts of
 * diffs, quotes and comments. `decoded`: also with escapes and entities as what they stand for. `bare`: also
 * without escape sequences of terminals and comments of HTML, which may hold what is looked for. `hex`:
 * groups of hex digits alone, a blank where other text lies between.
 */
export const READINGS = ["plain", "quoted", "decoded", "bare", "hex"] as const;
export type Reading = (typeof READINGS)[number];

/**
 * A text as it is read, in lower case, and where its parts stood: part i begins at `starts[i]`, and stood at
 * `origins[i]`. A part of a `widths[i]` other than 0 is one character that stood there as so many.
 */
export interface View {
  readonly text: string;
  readonly starts: readonly number[];
  readonly origins: readonly number[];
  readonly widths: readonly number[];
}

/** A longer escape sequence or comment is none that stands between two characters. */
const LONGEST_FILLER = 4_096;

/** An escape sequence of a terminal, also as text of JSON or a shell. */
const SEQUENCE = String.raw`(?:\x1B|\\x1b|\\u001b|\\033|\\e)\[[0-?]*[ -/]*[@-~]`;
/**
 * Control characters, characters nobody sees, backslashes of Markdown, JSON or a shell, and bold in Markdown
 * that holds nothing.
 */
const UNSEEN = String.raw`[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]|\r|\p{Cf}|\\|\*{2,}`;
/** Also as `\n` inside JSON, with indentation. */
const BREAK = String.raw`(?<break>\r?\n|(?:\\r)?\\n)[ \t]*`;
const LINE_START = String.raw`(?:[+|#*-]|//)?[ \t]*(?:>[ \t]*)*`;
const ESCAPE = [
  String.raw`\\x(?<x>[0-9a-f]{2})`,
  String.raw`\\u(?<u>[0-9a-f]{4})`,
  String.raw`\\u\{0{0,8}(?<point>[0-9a-f]{1,5})\}`,
  "%(?<percent>[0-7][0-9a-f])",
  "&#0{0,8}(?<decimal>[0-9]{1,7});?",
  "&#x0{0,8}(?<hex>[0-9a-f]{1,6});?",
  "&(?<entity>[a-z]{2,20});",
].join("|");

const FILLERS: Record<Exclude<Reading, "hex">, RegExp> = {
  plain: new RegExp(`${BREAK}|${UNSEEN}`, "giu"),
  quoted: new RegExp(`${BREAK}${LINE_START}|${UNSEEN}`, "giu"),
  decoded: new RegExp(`${BREAK}${LINE_START}|${ESCAPE}|${UNSEEN}`, "giu"),
  bare: new RegExp(`${SEQUENCE}|<!--|${BREAK}${LINE_START}|${ESCAPE}|${UNSEEN}`, "giu"),
};
const HAS_LINE_START = /(?:\n|\\n)[ \t]*[+|#*>/-]/i;
const HAS_ESCAPE = /\\[xu]|%[0-7][0-9a-f]|&[#a-z]/i;
const HAS_FILLING = /<!--|(?:\x1B|\\x1b|\\u001b|\\033|\\e)\[/i;
const FILLER_CHAR = /[\u0000-\u001F\u007F-\u009F]|\p{Cf}|\\/u;

/** The text in every reading; one that adds nothing is the same view as the one before it. */
export function viewsOf(text: string): Readonly<Record<Reading, View>> {
  const plain = viewOf(text, "plain");
  const quoted = HAS_LINE_START.test(text) ? viewOf(text, "quoted") : plain;
  const decoded = HAS_ESCAPE.test(text) ? viewOf(text, "decoded") : quoted;
  const bare = HAS_FILLING.test(text) ? viewOf(text, "bare") : decoded;
  return { plain, quoted, decoded, bare, hex: hexGroups(text) };
}

/** The text in one reading. Takes twice as long for a text that is twice as long, whatever it is. */
export function viewOf(text: string, reading: Reading): View {
  if (reading === "hex") return hexGroups(text);
  const view = new Parts(text);
  const comments = new Comments(text);
  let from = 0;
  for (const match of text.matchAll(FILLERS[reading])) {
    // Within a comment that was left out.
    if (match.index < from) continue;
    const [token] = match;
    const end = token === "<!--" ? comments.endOf(match.index) : match.index + token.length;
    const char = decode(match.groups ?? {});
    if (end === null || char === null) continue;
    // Blanks before a line break; within the expression they would make it quadratic.
    view.add(from, match.index, match.groups?.break !== undefined);
    if (char !== "") view.addChar(char, match.index, token.length);
    from = end;
  }
  view.add(from, text.length, false);
  return view.end();
}

/** The nearest place from `at` on where a text can be cut without tearing what stands between characters. */
export function cutBetweenFillers(text: string, at: number): number {
  const from = Math.max(0, at - LONGEST_FILLER);
  for (const match of text.slice(from, at + LONGEST_FILLER).matchAll(FILLERS.bare)) {
    const start = from + match.index;
    const comment = match[0] === "<!--" ? text.slice(start, start + LONGEST_FILLER).indexOf("-->") : -1;
    const end = start + (comment >= 0 ? comment + 3 : match[0].length);
    if (start < at && at < end) return end;
  }
  return at;
}

/** How many characters of a view come from what stood before a place of the text. */
export function lengthBefore(view: View, origin: number): number {
  const at = last(view.origins, origin);
  const start = view.starts[at] ?? 0;
  const next = view.starts[at + 1] ?? view.text.length;
  const [width, length] = [view.widths[at] ?? 0, origin - (view.origins[at] ?? 0)];
  if (width > 0) return length < width ? start : next;
  return Math.min(next, start + Math.max(0, length));
}

/** Where the characters `start` to `end` of a view stood in the text. */
export function originsOf(view: View, start: number, end: number): readonly [from: number, to: number] {
  const [first, final] = [last(view.starts, start), last(view.starts, end - 1)];
  const width = view.widths[final] ?? 0;
  const origin = (view.origins[final] ?? 0) + (width > 0 ? 0 : end - 1 - (view.starts[final] ?? 0));
  // The last character's own place, so that a line break after it stays.
  return [(view.origins[first] ?? 0) + start - (view.starts[first] ?? 0), origin + Math.max(1, width)];
}

/** The last of growing numbers that is not above a limit. */
function last(numbers: readonly number[], limit: number): number {
  let [low, high] = [0, numbers.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((numbers[middle] ?? 0) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Lower case of the same length. */
export function foldCase(text: string): string {
  return text.replaceAll("\u0130", "i").toLowerCase();
}

class Parts {
  readonly #text: string;
  readonly #parts: string[] = [];
  readonly #view = { starts: [0], origins: [0], widths: [0] };
  #length = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** What stands from `start` to `end`. */
  add(start: number, end: number, isTrimmed: boolean): void {
    if (start >= end) return;
    const part = this.#text.slice(start, end);
    this.#push(isTrimmed ? part.trimEnd() : part, start, 0);
  }

  addChar(char: string, origin: number, width: number): void {
    this.#push(char, origin, width);
  }

  #push(part: string, origin: number, width: number): void {
    if (part === "") return;
    const { starts, origins, widths } = this.#view;
    // Nothing stands at the place of an empty part.
    const at = starts.at(-1) === this.#length ? starts.length - 1 : starts.length;
    [starts[at], origins[at], widths[at]] = [this.#length, origin, width];
    this.#parts.push(part);
    this.#length += part.length;
  }

  end(): View {
    return { text: foldCase(this.#parts.join("")), ...this.#view };
  }
}

/** Where comments of HTML end; each end is looked for once. */
class Comments {
  readonly #text: string;
  #close = -1;

  constructor(text: string) {
    this.#text = text;
  }

  /** Null where the comment has no end, or a far one. */
  endOf(start: number): number | null {
    if (this.#close < start + 4 && this.#close !== Number.POSITIVE_INFINITY) {
      const at = this.#text.indexOf("-->", start + 4);
      this.#close = at < 0 ? Number.POSITIVE_INFINITY : at;
    }
    return this.#close - start > LONGEST_FILLER ? null : this.#close + 3;
  }
}

/** Signs of ASCII that entities are written for, and what nobody sees. */
const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", num: "#", plus: "+", comma: ",", period: "." },
  ...{ sol: "/", colon: ":", semi: ";", equals: "=", quest: "?", commat: "@", excl: "!", dollar: "$" },
  ...{ percnt: "%", lpar: "(", rpar: ")", ast: "*", midast: "*", lsqb: "[", lbrack: "[", rsqb: "]" },
  ...{ rbrack: "]", bsol: "\\", hat: "^", lowbar: "_", underbar: "_", grave: "`", lcub: "{", lbrace: "{" },
  ...{ rcub: "}", rbrace: "}", verbar: "|", vert: "|", verticalline: "|", nbsp: " ", tab: "", newline: "" },
  ...{ shy: "", zwj: "", zwnj: "", zerowidthspace: "", nobreak: "", lrm: "", rlm: "" },
};

/** What an escape stands for; empty for a filler; null where it is none. */
function decode(groups: Readonly<Record<string, string | undefined>>): string | null {
  const { x, u, point, percent, decimal, hex, entity } = groups;
  if (entity !== undefined) return ENTITIES[entity.toLowerCase()] ?? null;
  const digits = x ?? u ?? point ?? percent ?? hex;
  if (digits === undefined && decimal === undefined) return "";
  const code = digits === undefined ? Number(decimal) : Number.parseInt(digits, 16);
  if (code > 0x10ffff) return null;
  const char = String.fromCodePoint(code);
  return FILLER_CHAR.test(char) ? "" : char;
}

/** Whole words of hex digits; longer ones are found without this. */
const HEX_GROUP = /(?<![0-9a-z])(?:0?x)?(?<digits>[0-9a-f]{1,64})(?![0-9a-z])/gi;
const FARTHEST = 16;

/** Groups of hex digits with a few signs between them, as one. */
function hexGroups(text: string): View {
  const view = { starts: [] as number[], origins: [] as number[], widths: [] as number[] };
  const parts: string[] = [];
  let [length, end] = [0, 0];
  for (const match of text.matchAll(HEX_GROUP)) {
    const digits = match.groups?.digits ?? "";
    const isFar = match.index - end > FARTHEST || /[0-9a-z]/i.test(text.slice(end, match.index));
    if (isFar && parts.length > 0) {
      parts.push(" ");
      length++;
    }
    end = match.index + match[0].length;
    view.starts.push(length);
    view.origins.push(end - digits.length);
    view.widths.push(0);
    parts.push(digits);
    length += digits.length;
  }
  return { text: foldCase(parts.join("")), ...view };
}
