import MarkdownIt from "markdown-it";

const COMMAND = /^( {0,3})\/lazarus(?=\s|$)/i;
/**
 * What a command is replaced with while the text is read: its line's number between two characters that no
 * text has by then.
 */
const MARK = /\u{E000}(\d+)\u{E001}/gu;
const RESERVED = /[\u{E000}\u{E001}]/gu;
/** What is shown as code or as somebody else's words, or not at all, although Markdown in it is read. */
const TAGS = /<(\/?)(pre|code|blockquote|script|style|textarea|template|samp|kbd|tt|xmp|q)\b/gi;

/** As Gitea and Forgejo read comments: CommonMark with tables and HTML. */
const reader = new MarkdownIt({ html: true });
type Token = ReturnType<typeof reader.parse>[number];

/**
 * The numbers (from 0) of the lines that are commands: `/lazarus` at the start of a line (at most three
 * spaces before it) that is rendered as text, outside quotes, code and HTML, and not as part of a list item's
 * own lines.
 * @see https://spec.commonmark.org/0.31.2/
 */
export function typedLines(lines: readonly string[]): number[] {
  if (!lines.some((line) => COMMAND.test(line))) return [];
  const marked = lines.map((line, index) =>
    line.replace(RESERVED, "").replace(COMMAND, `$1\u{E000}${index}\u{E001}`),
  );
  const found: number[] = [];
  let quotes = 0;
  let lists = 0;
  const hidden = new HiddenByTags();
  const read = (token: Token): void => {
    if (token.type === "html_block" || token.type === "html_inline") hidden.read(token.content);
    if (token.type === "text" && quotes === 0 && !hidden.isOpen) {
      for (const [, number] of token.content.matchAll(MARK)) {
        const index = Number(number);
        // An item's own lines are indented by two at least; with less, a line below a list only goes on with
        // its paragraph.
        if (lists === 0 || !/^ {2}/.test(lines[index] ?? "")) found.push(index);
      }
    }
    for (const child of token.children ?? []) read(child);
  };
  for (const token of reader.parse(marked.join("\n"), {})) {
    if (token.type.startsWith("blockquote_")) quotes += token.nesting;
    if (/^(bullet|ordered)_list_/.test(token.type)) lists += token.nesting;
    read(token);
  }
  return found;
}

/** A stretch of lines, counted from 0; `to` is the first line after it. */
export interface Lines {
  readonly from: number;
  readonly to: number;
}

/** Where each entry of the lists at the top of a text stands, outside quotes. */
export function listEntries(lines: readonly string[]): Lines[] {
  const found: Lines[] = [];
  let depth = 0;
  for (const token of reader.parse(lines.join("\n"), {})) {
    if (token.type === "list_item_open" && depth === 1 && token.map !== null)
      found.push({ from: token.map[0], to: token.map[1] });
    if (/^(bullet|ordered)_list_|^blockquote_/.test(token.type)) depth += token.nesting;
    // What stands in a quote is somebody else's.
    if (token.type.startsWith("blockquote_")) depth += token.nesting;
  }
  return found;
}

/** Which of `TAGS` are open. What is never closed hides all that follows: browsers show it so. */
class HiddenByTags {
  readonly #open = new Map<string, number>();

  read(html: string): void {
    let end = 0;
    for (const { index, 1: slash, 2: name = "" } of html.matchAll(TAGS)) {
      // Within the one before.
      if (index < end) continue;
      // Looked for here: an expression would look through the rest for each tag that has no end.
      const close = html.indexOf(">", index);
      if (close < 0) return;
      end = close;
      const tag = name.toLowerCase();
      const count = (this.#open.get(tag) ?? 0) + (slash === "/" ? -1 : 1);
      if (count > 0) this.#open.set(tag, count);
      else this.#open.delete(tag);
    }
  }

  get isOpen(): boolean {
    return this.#open.size > 0;
  }
}
