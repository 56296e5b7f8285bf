const COMMAND = /^ {0,3}\/lazarus(?=\s|$)/i;

/** An open fence; `inset` is how far the lines of the list item that holds it are indented. */
interface Fence {
  readonly mark: string;
  readonly inset: number;
}

interface Line {
  readonly line: string;
  /** Null: a list item's own line, which is no command. */
  readonly index: number | null;
}

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const QUOTE = /^ {0,3}>/;
const HEADING_OR_RULE = /^ {0,3}(#{1,6}(\s|$)|([-*_])[ \t]*(\3[ \t]*){2,}$|=+[ \t]*$)/;
const ITEM = /^( {0,3}(?:[-+*]|\d{1,9}[.)]))([ \t]+|$)/;
/** How an HTML block starts, and what ends it; those with null end at a blank line (CommonMark 4.6). */
const HTML_BLOCKS: readonly (readonly [start: RegExp, end: RegExp | null])[] = [
  [/^ {0,3}<!--/, /-->/],
  [/^ {0,3}<(pre|script|style|textarea)(\s|>|$)/i, /<\/(pre|script|style|textarea)>/i],
  [/^ {0,3}<\?/, /\?>/],
  [/^ {0,3}<!\[CDATA\[/, /\]\]>/],
  [/^ {0,3}<![a-z]/i, />/],
  // Rendered as a quote or as code, with Markdown inside: ends where it is closed.
  [/^ {0,3}<(blockquote|code)(\s|>|$)/i, /<\/(blockquote|code)>/i],
  [
    /^ {0,3}<\/?(address|article|aside|center|dd|details|dialog|dir|div|dl|dt|fieldset|fig(caption|ure)|footer|form|h[1-6]|header|hr|li|main|menu|nav|ol|p|section|summary|table|tbody|td|tfoot|th|thead|tr|ul)(\s|\/?>|$)/i,
    null,
  ],
];
/** A line that is one tag of any other name: it cannot end a paragraph. */
const LONE_TAG = /^ {0,3}<\/?[a-z][a-z0-9-]*(\s[^<>]*)?>\s*$/i;

/**
 * The numbers (from 0) of the lines that are commands: `/lazarus` at the start of a line (at most three spaces before it) that
 * is rendered neither as code, nor as a quote, nor as HTML, nor as part of a list item's own lines. Follows CommonMark's blocks as
 * far as these lines are concerned, in one pass over the text; where nested quotes leave a doubt, it is no command.
 * @see https://spec.commonmark.org/0.31.2/
 */
export function typedLines(lines: readonly string[]): number[] {
  const scan = new Scan();
  for (const [index, line] of lines.entries()) scan.read(line, index);
  return scan.end();
}

class Scan {
  readonly #found: number[] = [];
  #fence: Fence | null = null;
  #html: RegExp | null = null;
  #inHtml = false;
  /** Indentation that belongs to the open list item; 0: there is none. */
  #inset = 0;
  #quote: Quote | null = null;
  /** Lines of the open paragraph: code spans and comments reach over its lines. */
  #paragraph: Line[] = [];

  read(line: string, index: number): void {
    const isBlank = line.trim() === "";
    const indent = indentOf(line);
    if (this.#fence !== null && !isBlank && indent < this.#fence.inset) this.#fence = null;
    if (this.#fence !== null) this.#readFenced(line, this.#fence);
    else if (this.#inHtml) this.#readHtml(line, isBlank);
    else if (isBlank) this.#endBlocks();
    else if (this.#inset > 0 && indent >= this.#inset) this.#readItemContent(line.trimStart(), line);
    else if (indent < 4 && QUOTE.test(line)) this.#readQuote(line);
    else if (indent >= 4 || !this.#readBlockStart(line)) this.#readText(line, index);
  }

  end(): number[] {
    this.#endParagraph();
    return this.#found;
  }

  #endBlocks(): void {
    this.#endParagraph();
    this.#quote = null;
  }

  #readFenced(line: string, { mark, inset }: Fence): void {
    const close = /^ {0,3}(`{3,}|~{3,})\s*$/.exec(
      line.slice(Math.min(inset, line.length - line.trimStart().length)),
    );
    if (close?.[1]?.startsWith(mark)) this.#fence = null;
  }

  #readHtml(line: string, isBlank: boolean): void {
    if (this.#html === null ? isBlank : this.#html.test(line)) this.#inHtml = false;
  }

  /** A line of the open list item: never a command, but it may open a fence or a quote. */
  #readItemContent(content: string, line: string): void {
    const fence = FENCE.exec(content)?.[1];
    if (fence !== undefined) {
      this.#endBlocks();
      this.#fence = { mark: fence, inset: this.#inset };
    } else if (QUOTE.test(content)) {
      this.#endParagraph();
      this.#quote ??= new Quote();
      this.#quote.read(content);
    } else if (content !== "" && !this.#quote?.takesLazily) {
      this.#paragraph.push({ line, index: null });
    }
  }

  #readText(line: string, index: number): void {
    if (this.#quote?.takesLazily) return;
    this.#quote = null;
    // Indented code, unless it goes on with a paragraph.
    if (indentOf(line) >= 4 && this.#paragraph.length === 0) return;
    this.#inset = 0;
    this.#paragraph.push({ line, index });
  }

  #readQuote(line: string): void {
    this.#endParagraph();
    this.#inset = 0;
    this.#quote ??= new Quote();
    this.#quote.read(line);
  }

  /** Blocks that end whatever paragraph is open, in a quote or not. */
  #readBlockStart(line: string): boolean {
    const inParagraph = this.#paragraph.length > 0 || this.#quote?.takesLazily === true;
    const fence = FENCE.exec(line)?.[1];
    const item = ITEM.exec(line);
    const html =
      HTML_BLOCKS.find(([start]) => start.test(line)) ??
      (!inParagraph && LONE_TAG.test(line) ? [null, null] : undefined);
    const isRule = HEADING_OR_RULE.test(line);
    const isItem = item !== null && !isRule && !(inParagraph && isWeakItem(line));
    if (fence === undefined && html === undefined && !isItem && !isRule) return false;
    this.#endBlocks();
    this.#inset = 0;
    if (fence !== undefined) this.#fence = { mark: fence, inset: 0 };
    else if (html !== undefined) {
      this.#html = html[1];
      this.#inHtml = html[1] === null || !html[1].test(line.replace(/^ {0,3}<[!?]?/, ""));
    } else if (isItem && item !== null) this.#readItemStart(line, item);
    return true;
  }

  #readItemStart(line: string, [all, marker = "", gap = ""]: RegExpExecArray): void {
    const rest = line.slice(all.length);
    // Five or more spaces after the marker: one belongs to it, and what follows is code.
    const spaces = indentOf(gap) > 4 || rest === "" ? 1 : indentOf(gap);
    this.#inset = marker.length + spaces;
    this.#readItemContent(rest, line);
  }

  #endParagraph(): void {
    const lines = this.#paragraph;
    this.#paragraph = [];
    if (!lines.some(({ line, index }) => index !== null && COMMAND.test(line))) return;
    const isHidden = hiddenIn(lines.map(({ line }) => line).join("\n"));
    let offset = 0;
    for (const { line, index } of lines) {
      if (index !== null && COMMAND.test(line) && !isHidden(offset + line.indexOf("/")))
        this.#found.push(index);
      offset += line.length + 1;
    }
  }
}

/** What must be known of a quote: whether a line without `>` after it still belongs to its last paragraph. */
class Quote {
  takesLazily = false;
  #fence: string | null = null;

  read(line: string): void {
    const content = line.replace(/^(?: {0,3}> ?)+/, "");
    const fence = FENCE.exec(content)?.[1];
    if (this.#fence !== null) {
      if (fence?.startsWith(this.#fence) && content.trim() === fence) this.#fence = null;
      this.takesLazily = false;
    } else if (fence !== undefined) {
      this.#fence = fence;
      this.takesLazily = false;
    } else {
      const isCode = indentOf(content) >= 4 && !this.takesLazily;
      this.takesLazily = content.trim() !== "" && !isCode && !HEADING_OR_RULE.test(content);
    }
  }
}

/** An item that cannot end a paragraph: empty, or a number other than 1. */
function isWeakItem(line: string): boolean {
  return (
    /^ {0,3}([-+*]|\d{1,9}[.)])\s*$/.test(line) || (/^ {0,3}\d/.test(line) && !/^ {0,3}0*1[.)]/.test(line))
  );
}

/** Columns of white space a line starts with; tabs go to the next multiple of four. */
function indentOf(line: string): number {
  let column = 0;
  for (const letter of line) {
    if (letter === "\t") column += 4 - (column % 4);
    else if (letter === " ") column += 1;
    else break;
  }
  return column;
}

/** Tells of ascending positions in a paragraph whether they lie in a code span or an HTML comment. Linear in the text. */
function hiddenIn(text: string): (position: number) => boolean {
  const hidden: (readonly [from: number, to: number])[] = [];
  const closers = backtickRuns(text);
  const opener = /\\[\\`<]|`+|<!--/g;
  let hasCommentEnd = true;
  for (let match = opener.exec(text); match !== null; match = opener.exec(text)) {
    const from = match.index;
    let to = -1;
    if (match[0] === "<!--" && hasCommentEnd) {
      to = text.indexOf("-->", from + 2) + 2;
      hasCommentEnd = to > from;
    } else if (match[0].startsWith("`")) {
      const ends = closers.get(match[0].length) ?? [];
      while (ends.length > 0 && (ends.at(-1) ?? 0) <= from) ends.pop();
      to = ends.at(-1) ?? -1;
      if (to > 0) to += match[0].length - 1;
    }
    if (to <= from) continue;
    hidden.push([from, to]);
    opener.lastIndex = to + 1;
  }
  let next = 0;
  return (position) => {
    while ((hidden[next]?.[1] ?? position) < position) next++;
    return (hidden[next]?.[0] ?? position) < position;
  };
}

/** Starts of all runs of backticks by their length, the last first. */
function backtickRuns(text: string): Map<number, number[]> {
  const runs = new Map<number, number[]>();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    const starts = runs.get(run.length);
    if (starts) starts.push(index);
    else runs.set(run.length, [index]);
  }
  for (const starts of runs.values()) starts.reverse();
  return runs;
}
