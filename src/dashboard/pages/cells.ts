import { HEALTHS, OUTCOMES, STATES, shortId } from "../../cells/cell.ts";
import { headline } from "../../commands/words/card-headline.ts";
import { cellData } from "../data.ts";
import type { Page } from "../deps.ts";
import { html } from "../html.ts";
import { type CellSearch, findCells } from "../read-cells.ts";
import { showMarkdown } from "../show-markdown.ts";
import { hidden } from "./now.ts";
import { ago, cellLink, onForge, state, table, targetLink, words } from "./pieces.ts";

const FILTERS = ["q", "state", "health", "outcome", "repo", "agent", "by"] as const;

/** Every cell one may see, newest first, narrowed by what the address says. */
export const cells: Page = async (ask) => {
  const { d, place, query, sight } = ask;
  const given = Object.fromEntries(
    FILTERS.map((name) => [name, words(query.get(name) ?? "", 100)]).filter(([, value]) => value !== ""),
  ) as Record<string, string>;
  const before = Number(query.get("before") ?? "");
  const search: CellSearch = Number.isSafeInteger(before) && before > 0 ? { ...given, before } : given;
  const found = findCells(d.db, sight.ids, search);
  const at = d.clock.now();
  const link = (change: Record<string, string>) => {
    const all: [string, string][] = Object.entries({ ...given, ...change });
    const next = new URLSearchParams(all.filter(([, value]) => value !== ""));
    return place.link(`/cells${next.size === 0 ? "" : `?${next}`}`);
  };
  const pick = (name: string, values: readonly string[]) =>
    html`<label>${name} <select name="${name}"><option value="">any</option>${values.map((one) => html`<option${given[name] === one ? html` selected` : ""}>${one}</option>`)}</select></label>`;
  const chips = FILTERS.filter((name) => given[name] !== undefined).map(
    (name) =>
      html`<li><a href="${link({ [name]: "" })}">${name}: ${given[name]} <span aria-hidden="true">×</span><span class="unseen">take away</span></a></li>`,
  );
  const main = html`<h1>Cells</h1>${hidden(ask)}
<form method="get" action="${place.link("/cells")}" class="filters" role="search"><label>find <input name="q" type="search" value="${given.q ?? ""}" id="q" maxlength="100"></label>
${pick("state", STATES)}${pick("health", HEALTHS)}${pick("outcome", OUTCOMES)}${pick("agent", [...d.config.agents.keys()])}<button>Show</button></form>
${chips.length > 0 && html`<ul class="chips">${chips}</ul>`}
${
  found.cells.length === 0
    ? html`<p class="empty">No cell is like that. <a href="${place.link("/cells")}">Show all</a>.</p>`
    : table(
        {
          caption: "Cells, newest first",
          isHidden: true,
          head: ["Cell", "State", "Agent", "Target", "How it is", "Asked by", "Made"],
        },
        found.cells.map((cell) => ({
          id: `cell-${shortId(cell.id)}`,
          cells: [
            cellLink(cell, ask),
            state(cell.state),
            cell.agent,
            targetLink(cell, d),
            showMarkdown(headline(cell, d.registry.lastRun(cell.id), d), (url) => onForge(url, d)),
            cell.requester.login,
            ago(cell.createdAt, at),
          ],
        })),
      )
}
${found.next !== null && html`<p><a class="button" href="${link({ before: String(found.next) })}" rel="next">Older cells</a></p>`}`;
  return {
    title: "Cells",
    main,
    isLive: found.cells.length > 0,
    data: () => ({
      cells: found.cells.map((cell) => cellData(cell, sight.inCell(cell), d)),
      next: found.next === null ? null : link({ before: String(found.next) }),
    }),
  };
};
