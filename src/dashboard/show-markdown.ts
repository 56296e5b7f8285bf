import type { Markdown } from "../gitea/markdown.ts";
import { type Html, html, type Piece } from "./html.ts";

const TOKEN =
  /\\([\\`*~$|@#[\]&<!:.>=+\-_/])|(`+)([\s\S]*?[^`]|[^`])\2(?!`)|\[((?:\\.|[^\]\\])*)\]\((https?:\/\/[^\s()<>]+)\)|(\*\*)|&(?:#(\d{1,6})|(lt|amp|gt));|\n/g;

/**
 * One or more lines of our own Markdown as HTML: bold, code, links, and what was defused as it reads. Other
 * Markdown stands as it is written; nothing in it becomes HTML.
 */
export function showMarkdown({ text }: Markdown, link: (url: string) => string = (url) => url): Html {
  const parts: Piece[] = [];
  let bold: Piece[] | null = null;
  const add = (piece: Piece) => (bold ?? parts).push(piece);
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    add(text.slice(from, match.index));
    from = match.index + match[0].length;
    const [, escaped, , code, label, url, stars, point, entity] = match;
    if (escaped !== undefined) add(escaped);
    else if (code !== undefined) add(html`<code>${code.replace(/^ (.*[`].*) $|^ ([`].*)$/, "$1$2")}</code>`);
    else if (label !== undefined && url !== undefined)
      add(html`<a href="${link(url)}">${label.replace(/\\(.)/g, "$1")}</a>`);
    else if (point !== undefined) add(String.fromCodePoint(Math.min(Number(point), 0x10ffff)));
    else if (entity !== undefined) add({ lt: "<", amp: "&", gt: ">" }[entity] ?? "");
    else if (stars === undefined) add(html`<br>`);
    else if (bold === null) bold = [];
    else {
      parts.push(html`<strong>${bold}</strong>`);
      bold = null;
    }
  }
  add(text.slice(from));
  if (bold !== null) parts.push("**", bold);
  return html`${parts}`;
}
