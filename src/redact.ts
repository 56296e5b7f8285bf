/** Hides the secrets it knows from text that leaves the program: posts, logs, pages. */
export interface Redactor {
  /** The text with every form of every secret as `[redacted]`. */
  redact(text: string): string;
  /** One more secret; shorter than 8 characters are not hidden. */
  add(secret: string): void;
}

const HIDDEN = "[redacted]";
/** Shorter secrets are not hidden: they stand in too many words. */
export const LEAST_HIDDEN = 8;

/**
 * What the heartbeat token of every cell begins with; 64 hex digits follow. By its form it is hidden in every
 * process, whoever made it.
 */
export const CELL_TOKEN_PREFIX = "lazarus-beat-";

/**
 * What people and programs put between the characters of a secret without changing it: an escape sequence of
 * a terminal, a line break (also as `\n` inside JSON) with indentation, characters nobody sees, backslashes
 * of Markdown, JSON or a shell.
 */
const FILLER =
  /\x1B\[[0-?]*[ -/]*[@-~]|(\r?\n|(?:\\r)?\\n)[ \t]*|[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]|\r|\p{Cf}|\\/gu;

/** A longer escape sequence is none that a terminal would take. */
const LONGEST_FILLER = 4_096;

/**
 * Knows each secret plain, in base64 (also URL-safe, and inside longer base64 at any of the three
 * alignments), URL-encoded, JSON- and HTML-escaped, in hex, and all of these broken over lines.
 */
export function createRedactor(secrets: Iterable<string>): Redactor {
  const needles = new Set<string>();
  const add = (secret: string) => {
    for (const text of [secret, secret.trim()]) {
      if (text.trim().length < LEAST_HIDDEN) continue;
      for (const form of formsOf(text)) {
        const needle = condense(form).text;
        if (needle.length >= LEAST_HIDDEN) needles.add(needle);
      }
    }
  };
  for (const secret of secrets) add(secret);

  return {
    add,
    redact(text) {
      if (text.length < LEAST_HIDDEN) return text;
      const condensed = condense(text);
      const hits = [...needles].flatMap((needle) => findAll(condensed.text, needle));
      hits.push(...findCellTokens(condensed.text));
      return hits.length === 0 ? text : hide(text, condensed, hits);
    },
  };
}

/** The nearest place from `at` on where a text can be cut without tearing what stands between characters. */
export function cutBetweenFillers(text: string, at: number): number {
  const from = Math.max(0, at - LONGEST_FILLER);
  for (const match of text.slice(from, at + LONGEST_FILLER).matchAll(FILLER)) {
    const [start, end] = [from + match.index, from + match.index + match[0].length];
    if (start < at && at < end) return end;
  }
  return at;
}

/** The text without what people and programs put between characters: what secrets are looked for in. */
export function withoutFillers(text: string): string {
  return condense(text).text;
}

/**
 * A text without fillers, and where its parts stood: part i begins at `starts[i]`, and stood at `origins[i]`.
 */
interface Condensed {
  readonly text: string;
  readonly starts: readonly number[];
  readonly origins: readonly number[];
}

type Span = readonly [start: number, end: number];

function condense(text: string): Condensed {
  const parts: string[] = [];
  const starts: number[] = [0];
  const origins: number[] = [0];
  let length = 0;
  let from = 0;
  for (const match of text.matchAll(FILLER)) {
    const part = text.slice(from, match.index);
    // Blanks before a line break; within the expression they would make it quadratic.
    const kept = match[1] === undefined ? part : part.trimEnd();
    parts.push(kept);
    length += kept.length;
    from = match.index + match[0].length;
    starts.push(length);
    origins.push(from);
  }
  parts.push(text.slice(from));
  return { text: parts.join(""), starts, origins };
}

function originOf(condensed: Condensed, at: number): number {
  let low = 0;
  let high = condensed.starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((condensed.starts[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return (condensed.origins[low] ?? 0) + at - (condensed.starts[low] ?? 0);
}

function findAll(text: string, needle: string): Span[] {
  const found: Span[] = [];
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1))
    found.push([at, at + needle.length]);
  return found;
}

function hide(text: string, condensed: Condensed, hits: Span[]): string {
  hits.sort((a, b) => a[0] - b[0]);
  const parts: string[] = [];
  let shown = 0;
  for (const [start, end] of hits) {
    const from = originOf(condensed, start);
    // The last character's own place, so that a line break after the secret stays.
    const to = originOf(condensed, end - 1) + 1;
    if (from >= shown) parts.push(text.slice(shown, from), HIDDEN);
    shown = Math.max(shown, to);
  }
  parts.push(text.slice(shown));
  return parts.join("");
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  const text = bytes.toString("utf8");
  const json = JSON.stringify(text).slice(1, -1);
  const hex = bytes.toString("hex");
  const url = encodeURIComponent(text);
  const strict = url.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const every = hex.replace(/../g, "%$&");
  const base64 = [0, 1, 2].map((shift) => base64Core(bytes, shift));
  return [
    text,
    json,
    json.replaceAll("/", "\\/"),
    // Go's JSON writes these for the sake of HTML; others write all that is not ASCII so.
    json.replace(/[<>&]/g, unicodeEscape),
    json.replace(/[^\x20-\x7E]/g, unicodeEscape),
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
    text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("'", "&#39;"),
    ...[url, strict, encodeURI(text)].flatMap((form) => [form, lowerEscapes(form)]),
    ...[url, strict].map((form) => form.replaceAll("%20", "+")).flatMap((form) => [form, lowerEscapes(form)]),
    every,
    every.toUpperCase(),
    hex,
    hex.toUpperCase(),
    ...base64,
    ...base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_")),
  ];
}

/**
 * Where cells' tokens stand, whole or cut off: plain, in hex, percent-encoded, and in base64 at all three
 * alignments.
 */
function findCellTokens(text: string): Span[] {
  return Array.from(text.matchAll(CELL_TOKENS), (match) => [match.index, match.index + match[0].length]);
}

const CELL_TOKENS = cellTokenForms();

function cellTokenForms(): RegExp {
  const prefix = Buffer.from(CELL_TOKEN_PREFIX, "utf8");
  const hex = prefix.toString("hex");
  const forms = [
    `${CELL_TOKEN_PREFIX}[0-9a-f]{8,64}`,
    `${hex}[0-9a-f]{16,128}`,
    `${hex.replace(/../g, "%$&")}(?:%[0-9a-f]{2}){8,64}`,
    // 64 hex digits are 86 characters of base64, and up to two more that the last ones share with what
    // follows.
    ...[0, 1, 2].map((shift) => `${base64Core(prefix, shift)}[A-Za-z0-9+/_-]{11,88}={0,2}`),
  ];
  return new RegExp(forms.join("|"), "gi");
}

/** The characters of base64 that depend on the secret alone when `shift` bytes (modulo 3) stand before it. */
function base64Core(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString("base64")
    .replace(/=+$/, "");
  const isWhole = (shift + bytes.length) % 3 === 0;
  return encoded.slice(shift === 0 ? 0 : shift + 1, isWhole ? undefined : -1);
}

function lowerEscapes(text: string): string {
  return text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
