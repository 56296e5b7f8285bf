import { type Cell, type Role, shortId } from "../../cells/cell.ts";
import type { Ask, Shown } from "../deps.ts";
import { type Html, html } from "../html.ts";
import { cellsLike } from "../read-cells.ts";
import { words } from "./pieces.ts";

/** A cell one may see, and what one is there. */
export interface Found {
  readonly cell: Cell;
  readonly role: Role;
}

/** The cell of the path, or why not: one that is not there and one that one may not see read alike. */
export function findOne({ d, params, sight }: Ask): Found | Shown {
  const typed = params.id ?? "";
  const [only, second] = cellsLike(d.db, sight.ids, typed);
  const role = only === undefined ? null : sight.inCell(only);
  if (only !== undefined && second === undefined && role !== null) return { cell: only, role };
  const why =
    second === undefined
      ? html`There is no cell <code>${words(typed, 40)}</code> here that you may see.`
      : html`More than one cell begins with <code>${words(typed, 40)}</code>: type more of it.`;
  return { status: 404, title: "No such cell", main: html`<h1>No such cell</h1><p>${why}</p>` };
}

/** The tabs of a cell's pages. */
export function tabs({ place, path }: Ask, { cell, role }: Found): Html {
  const all: readonly (readonly [string, string])[] = [
    ["", "Cell"],
    ["/runs", "Runs"],
    ["/history", "History"],
    ...(role === "observer"
      ? []
      : ([
          ["/diff", "Diff"],
          ["/brief", "Brief"],
          ["/artifacts", "Artifacts"],
        ] as const)),
  ];
  const base = `/cells/${cell.id}`;
  const here = path.split("?")[0] ?? "";
  return html`<p class="crumb"><a href="${place.link("/cells")}">Cells</a> / <code>${shortId(cell.id)}</code></p><nav class="tabs" aria-label="Of this cell"><ul>${all.map(
    ([end, name]) =>
      html`<li><a href="${place.link(base + end)}"${here === base + end || (end === "/runs" && here.startsWith(`${base}/runs/`)) ? html` aria-current="page"` : ""}>${name}</a></li>`,
  )}</ul></nav>`;
}

/** What only executors see: a log, a brief, a diff. The forge is asked now. */
export async function mustExecute({ d, sight, viewer }: Ask, { cell }: Found): Promise<Shown | null> {
  const role = await sight.live(cell);
  if (role === "executor" || role === "director") return null;
  const who = await d.rights.peopleWho("write", cell.repository).catch(() => []);
  const people = who.length === 0 ? "" : ` People who can: ${who.join(", ")}.`;
  return {
    status: 403,
    title: "Not for you",
    main: html`<h1>Not for you</h1><p>${viewer.person.login} may not see this: it needs write permission on ${cell.repository.fullName}.${people}</p>`,
  };
}
