import { LazarusError } from "../errors.ts";
import { firstBytes, lastBytes, plain } from "../visible.ts";

/**
 * A piece of Markdown that is fit to be posted: made by `md`, so that whatever came from outside was defused.
 */
export interface Markdown {
  readonly kind: "markdown";
  readonly text: string;
}

/** What `md` takes: our own Markdown stays, text of anybody is defused. */
export type Fragment = Markdown | string | number;

/**
 * Makes Markdown. The literal parts are ours and stay, so do Markdown values; **strings are text of others**
 * and become one line that shows as it was and does nothing.
 *
 * How that holds on Gitea and Forgejo: mentions and references are looked for in the raw text of the parsed
 * Markdown's text nodes, where a backslash still stands (modules/markup/mdstripper, modules/references), and
 * each needs white space, a bracket or a quote before its `@` or `#`. So `\@name`, `\#12` and `https\://…`
 * notify, refer to and close nothing, also in a commit message made of a pull request's body, and read best
 * in an e-mail. When shown, a page may still link a name or an address: that tells nobody. `\[` at the start
 * of a line would begin a formula there, so that one is an entity.
 */
export function md(literals: TemplateStringsArray, ...values: readonly Fragment[]): Markdown {
  let text = literals[0] ?? "";
  values.forEach((value, index) => {
    const literal = literals[index + 1] ?? "";
    text = glue(
      text,
      typeof value === "string" ? inline(value) : typeof value === "number" ? String(value) : value.text,
    );
    // "… it fixes" and then our own " #12" would be a closing keyword: two blanks show as one and are none.
    text = glue(text, typeof value === "string" ? literal.replace(/^(:?) (?=[#!])/, "$1  ") : literal);
  });
  return raw(text);
}

/** Our own constant text as Markdown; never for anything that came from outside. */
export function raw(text: string): Markdown {
  return { kind: "markdown", text };
}

/** Text of others as a code span in one line. */
export function code(text: string): Markdown {
  const content = disarm(plain(text).replace(/\s+/g, " ")) || " ";
  const fence = "`".repeat(longestRun(content) + 1);
  // One blank on both sides is taken off again; content of blanks only keeps all of them.
  const pad = /^[` ]|[` ]$/.test(content) && content.trim() !== "" ? " " : "";
  return raw(fence + pad + content + pad + fence);
}

/**
 * Text of others as a code block of its own lines; begins and ends at a line's start. What is longer than
 * `maxBytes` is cut at its end, or at its start with `keep: "end"`, and a line says so.
 */
export function fenced(text: string, maxBytes: number, keep: "start" | "end" = "start"): Markdown {
  const cut = keep === "start" ? firstBytes : lastBytes;
  const part = cut(text, maxBytes);
  const content = disarm(plain(part)).trimEnd();
  const fence = "`".repeat(Math.max(3, longestRun(content) + 1));
  const note =
    part.length === text.length
      ? []
      : [`[cut: ${keep === "start" ? "first" : "last"} ${maxBytes} bytes shown]`];
  const lines = keep === "start" ? [fence, content, ...note, fence] : [fence, ...note, content, fence];
  return raw(lines.join("\n"));
}

/** Somebody's words as a block quote, each line defused; cut after `maxChars`. */
export function quote(text: string, maxChars: number): Markdown {
  // What is dropped later may hide what is to be quoted, but not without end.
  const visible = plain(text.slice(0, maxChars * 4 + 1_000)).trim();
  const isCut = visible.length > maxChars || text.length > maxChars * 4 + 1_000;
  const words = isCut ? `${visible.slice(0, maxChars).trimEnd()} …` : visible;
  const lines = words.replace(/\n\s*\n/g, "\n\n").split("\n");
  return raw(lines.map((line) => `> ${inline(line.trim())}`.trimEnd()).join("\n"));
}

/** Parts with a separator of ours between them; strings are defused. */
export function join(parts: readonly Fragment[], separator: string | Markdown): Markdown {
  const between = typeof separator === "string" ? separator : separator.text;
  const texts = parts.map((part) => md`${part}`.text);
  return raw(texts.reduce((text, part, index) => (index === 0 ? part : glue(text + between, part)), ""));
}

/** A part that is folded away; the blank lines are what Gitea needs to read Markdown inside. */
export function details(summary: string, body: Markdown): Markdown {
  const line = disarm(plain(summary).replace(/\s+/g, " ").trim());
  return raw(`<details><summary>${escapeHtml(line)}</summary>\n\n${body.text}\n\n</details>`);
}

/** A table; cells are defused, and what is Markdown is put into one line. */
export function table(head: readonly Fragment[], rows: readonly (readonly Fragment[])[]): Markdown {
  const line = (cells: readonly Fragment[]) =>
    `| ${head.map((_, index) => cellOf(cells[index] ?? "")).join(" | ")} |`;
  return raw([line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n"));
}

/**
 * `#271` or `acme/app#271` as a link that refers to nothing: an edit of what holds it leaves no entry on that
 * thread.
 *
 * Gitea and Forgejo look for references in text and in where links go, not in what is shown of a link; an
 * address counts only where its path has exactly four parts (modules/references, modules/markup/mdstripper).
 * The slash at its end makes five, and the page is the same.
 */
export function threadLink(shown: string, url: string): Markdown {
  const isSafe = /^([\w.-]+\/[\w.-]+)?#\d+$/.test(shown) && /^https?:\/\/[^\s()<>\\]+$/.test(url);
  return isSafe ? raw(`[${shown}](${url.replace(/\/*$/, "/")})`) : code(shown);
}

/** A mention that is meant to notify; what is no name of an account is defused text. */
export function mention(login: string): Markdown {
  return /^[\w-][\w.-]*$/.test(login) ? raw(`@${login}`) : md`${login}`;
}

/**
 * The invisible first line by which a comment of ours is found again; `name` is ours, such as `card:<cell>`.
 */
export function marker(name: string): Markdown {
  if (!/^[\w.:-]+$/.test(name) || name.includes("--"))
    throw new LazarusError("internal", `${JSON.stringify(name)} is no name of a marker`);
  return raw(`<!-- lazarus:${name} -->`);
}

/**
 * The name in the marker that is the first line of a body; null when there is none there. Proves nothing
 * about the author.
 */
export function findMarker(body: string): string | null {
  return /^<!-- lazarus:([\w.:-]+) -->(?:\r?\n|$)/.exec(body)?.[1] ?? null;
}

/**
 * A title of at most `maxBytes`: one line of visible characters. A forge looks for closing keywords in
 * titles, also in the commits it makes of them, but shows no Markdown there: so two blanks stand after what
 * may be a keyword, one after a live `@`.
 */
export function title(text: string, maxBytes = 200): string {
  const line = plain(text.slice(0, maxBytes * 8))
    .replace(/\s+/g, " ")
    .trim();
  const defused = loosenKeywords(line.replaceAll("<!--", "< !--").replace(/(^|[\s([])@(?=[-\w])/g, "$1@ "));
  if (Buffer.byteLength(defused) <= maxBytes) return defused;
  return `${firstBytes(defused, maxBytes - 3).trimEnd()}…`;
}

/** Text of others as inline Markdown that shows as it was. */
function inline(text: string): string {
  return (
    plain(text)
      .replace(/\s+/g, " ")
      .replace(/[\\`*~$|@#[\]]/g, "\\$&")
      .replace(/(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, "\\_")
      .replace(/&(?=[#\w]|$)/g, "\\&")
      // Never `<!--`, not even after a backslash: markers are looked for in the raw text.
      .replace(/<(?=!|$)/g, "&lt;")
      .replace(/<(?=[A-Za-z/?])/g, "\\<")
      .replace(/!(?=\d|$)/g, "\\!")
      .replace(/:(?=\/\/)|(?<=\b(?:https?|ftp)):$/gi, "\\:")
      .replace(/www\./gi, (www) => `${www.slice(0, 3)}\\.`)
      .replace(/^( ?)\\\[/, "$1&#91;")
      .replace(/^( ?)(>|=|[-+:](?=[ -]|$))/, "$1\\$2")
      .replace(/^( ?\d{0,9})([.)])(?= |$)/, "$1\\$2")
  );
}

/** Puts two pieces together; two code spans that touch would be a third one. */
function glue(left: string, right: string): string {
  return left.endsWith("`") && right.startsWith("`") ? `${left} ${right}` : left + right;
}

function cellOf(value: Fragment): string {
  const text = md`${value}`.text.replace(/\s*\n\s*/g, " ");
  // A bar counts as escaped after any backslash for some parsers, after an odd number of them for others.
  return text.replace(/(\\*)\|/g, (bar, slashes: string) =>
    slashes.length % 2 === 0 ? `${slashes}\\|` : bar,
  );
}

/** For text that stands where backslashes would be seen: in code, and between tags. */
function disarm(text: string): string {
  return loosenKeywords(text.replaceAll("<!--", "< !--"));
}

/**
 * Two blanks instead of one between a word and a reference. Gitea reads a closing keyword only right before
 * one blank and a reference; which words are keywords is configuration. In code this matters too: a squash
 * commit's message is the pull request's body, and read without Markdown.
 */
function loosenKeywords(text: string): string {
  return text.replace(/(?<=\p{L}:?) (?=[#!]\d|[\w.-]+\/[\w.-]+[#!]\d|https?:\/\/)/gu, "  ");
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function longestRun(text: string): number {
  return (text.match(/`+/g) ?? []).reduce((longest, run) => Math.max(longest, run.length), 0);
}
