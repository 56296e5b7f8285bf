import { type Cell, shortId, targetOf } from "../../cells/cell.ts";
import { toIso } from "../../clock.ts";
import { age } from "../../commands/words/status-row.ts";
import { plain } from "../../visible.ts";
import type { Ask, DashboardDeps } from "../deps.ts";
import { type Html, html, type Piece } from "../html.ts";

/** Somebody else's words on one line: no control characters, no direction that turns, cut. */
export function words(text: string, mostChars = 200): string {
  const line = plain(text.slice(0, mostChars * 4))
    .replace(/\s+/g, " ")
    .trim();
  return line.length > mostChars ? `${line.slice(0, mostChars - 1)}…` : line;
}

/** `12m ago`, with the moment itself for machines and for whoever points at it. */
export function ago(at: number, now: number): Html {
  const iso = toIso(at);
  return html`<time datetime="${iso}" title="${iso}">${at > now ? `in ${age(at - now)}` : `${age(now - at)} ago`}</time>`;
}

/** `4f1c0b7e`, a link to the cell's page. */
export function cellLink(cell: Pick<Cell, "id">, { place }: Pick<Ask, "place">): Html {
  return html`<a href="${place.link(`/cells/${cell.id}`)}"><code>${shortId(cell.id)}</code></a>`;
}

/** `acme/app#262` and its title, a link to the forge. */
export function targetLink(cell: Cell, d: Pick<DashboardDeps, "config">): Html {
  return html`<a class="target" href="${onForge(cell.issueUrl, d)}">${targetOf(cell)}</a> <span class="title" dir="auto">${words(cell.title, 90)}</span>`;
}

/** An address of the forge as browsers reach it. */
export function onForge(url: string, { config }: Pick<DashboardDeps, "config">): string {
  const { url: own, publicUrl } = config.forge;
  const isOwn = own !== "" && (url === own || url.startsWith(`${own}/`));
  const shown = isOwn ? `${publicUrl}${url.slice(own.length)}` : url;
  return /^https?:\/\//i.test(shown) ? shown : "";
}

const GLYPHS: Readonly<Record<string, string>> = {
  ...{ proposed: "○", active: "●", idle: "◐", closing: "◌", archived: "■", destroyed: "✕" },
  ...{ healthy: "●", quiet: "◐", stalled: "▲", looping: "↻", dead: "✕" },
  ...{ ready: "○", scheduled: "◔", running: "●", retrying: "↻", dead_job: "✕", done: "■", ended: "■" },
};

/** A state as glyph, word and colour: no one of them stands alone. */
export function state(word: string): Html {
  return html`<span class="state s-${word}"><span aria-hidden="true">${GLYPHS[word] ?? "·"}</span> ${word}</span>`;
}

/** A table with its caption; on a narrow screen each row is a card. */
export function table(
  what: { readonly caption: string; readonly head: readonly string[]; readonly isHidden?: boolean },
  rows: readonly { readonly id: string; readonly cells: readonly Piece[]; readonly isYours?: boolean }[],
): Html {
  return html`<table><caption${what.isHidden === true ? html` class="unseen"` : ""}>${what.caption}</caption>
<thead><tr>${what.head.map((one) => html`<th scope="col">${one}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr id="${row.id}"${row.isYours === true ? html` class="yours"` : ""}>${row.cells.map(
        (cell, index) => html`<td data-label="${what.head[index] ?? ""}">${cell}</td>`,
      )}</tr>`,
  )}</tbody></table>`;
}

/** Names with values, as facts of one thing. */
export function facts(rows: readonly (readonly [name: string, value: Piece])[]): Html {
  return html`<dl class="facts">${rows
    .filter(([, value]) => value !== null && value !== "" && value !== undefined)
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A page that says why there is nothing else. */
export function message(
  status: number,
  title: string,
  text: Piece,
): { status: number; title: string; main: Html } {
  return { status, title, main: html`<h1>${title}</h1><p>${text}</p>` };
}
