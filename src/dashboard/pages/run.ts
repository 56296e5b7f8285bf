import { isBeingSetUp, type Run } from "../../cells/cell.ts";
import { SETUP_LOG } from "../../cells/names.ts";
import { ordinal } from "../../commands/words/replies.ts";
import { endOfRun, meaningOfExit, moment, span } from "../../commands/words/run-words.ts";
import { runData } from "../data.ts";
import type { Ask, Data, Page } from "../deps.ts";
import { type Html, html } from "../html.ts";
import { lastLines, logText } from "../log-lines.ts";
import { type Found, findOne, mustExecute, tabs } from "./find-cell.ts";
import { ago, facts, state, words } from "./pieces.ts";

const LINES = 500;
const MOST_LINES = 5_000;
/** Of a stream of events: one may hold a whole file. */
const READ_BYTES = 1024 * 1024;

/** One run: what its agent did in words, or its log as it is; at one address for as long as there is one. */
export const run: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const { d, params, query } = ask;
  const { cell } = found;
  const n = Number(params.n);
  const one = Number.isSafeInteger(n) ? d.registry.run(cell.id, n) : null;
  if (one === null)
    return {
      status: 404,
      title: "No such run",
      main: html`${tabs(ask, found)}<h1>No such run</h1><p>This cell has no run <code>${words(params.n ?? "", 20)}</code>.</p>`,
    };
  const at = d.clock.now();
  const head = html`${tabs(ask, found)}<h1>Run ${one.n} of ${one.agent}</h1>${facts([
    ["how it is", one.state === "ended" ? words(d.redact(endOfRun(one)), 300) : state(one.state)],
    [
      "that means",
      one.state === "ended" && found.role !== "observer"
        ? words(d.redact(meaningOfExit(one) ?? ""), 300)
        : null,
    ],
    ["began", one.startedAt === null ? null : html`${moment(one.startedAt)}, ${ago(one.startedAt, at)}`],
    ["took", one.startedAt === null ? null : span((one.endedAt ?? at) - one.startedAt)],
    ["asked by", one.isAutomatic ? "Lazarus, as a retry" : one.requester.login],
  ])}`;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null)
    return found.role === "observer"
      ? {
          title: `Run ${n}`,
          main: html`${head}${refusal.main}`,
          data: () => ({ run: runData(one), log: null }),
        }
      : refusal;
  const isRaw = query.get("view") === "raw";
  const lines = Math.min(MOST_LINES, Math.max(LINES, Number(query.get("lines")) || LINES));
  const { body, data } = await log(ask, found, { run: one, isRaw, lines });
  return {
    title: `Run ${n} of ${one.agent}`,
    main: html`${head}${body}`,
    isLive: one.state !== "ended" && one.state !== "withdrawn",
    data: () => ({ run: runData(one), log: data }),
  };
};

async function log(
  ask: Ask,
  { cell }: Found,
  { run: one, isRaw, lines }: { run: Run; isRaw: boolean; lines: number },
): Promise<{ readonly body: Html; readonly data: Data | null }> {
  const { d, place } = ask;
  const without = (body: Html) => ({ body, data: null });
  const path = `/cells/${cell.id}/runs/${one.n}`;
  if (one.startedAt === null && one.setup === null) return without(notBegun(ask, one));
  if (cell.state === "destroyed")
    return without(html`<p class="empty">The log was destroyed with the cell.</p>`);
  const hidden = d.files.unhidden(cell);
  if (hidden !== null) return without(html`<p class="banner bad">The log is not shown: ${hidden}.</p>`);
  const owner = one.startedAt === null || isBeingSetUp(one) ? SETUP_LOG : one.agent;
  const end = await d.files.log(cell, { owner, n: one.n, isRaw, maxBytes: READ_BYTES });
  const shown = lastLines(logText(end.text), lines);
  const view = (raw: boolean, name: string) =>
    html`<li><a href="${place.link(`${path}${raw ? "?view=raw" : ""}`)}"${raw === isRaw ? html` aria-current="true"` : ""}>${name}</a></li>`;
  const more = new URLSearchParams({
    ...(isRaw ? { view: "raw" } : {}),
    lines: String(Math.min(MOST_LINES, lines + 1_000)),
  });
  const body = html`<nav class="tabs" aria-label="Views of the log"><ul>${view(false, "What it did")}${view(true, "Raw")}<li><a href="${place.link(`${path}/log.txt`)}" download>Download</a></li></ul></nav>
${(shown.before > 0 || end.cut) && html`<p class="quiet">${shown.before > 0 && lines < MOST_LINES ? html`<a href="${place.link(`${path}?${more}`)}">Show more before this</a>. ` : ""}${end.cut ? "This is the end of a longer log. " : ""}</p>`}
${
  shown.lines.length === 0
    ? html`<p class="empty">${one.state === "ended" ? "It wrote nothing." : "It has written nothing yet. It will appear here."}</p>`
    : html`<div class="log" id="log" role="log" aria-live="off" aria-label="Log of run ${one.n}" tabindex="0"><ol start="${shown.before + 1}">${shown.lines.map(
        (line, index) =>
          html`<li id="L${shown.before + index + 1}" value="${shown.before + index + 1}"><bdi>${line}</bdi></li>`,
      )}</ol></div><p id="log-end">${one.state === "ended" ? `The run is over: ${words(d.redact(endOfRun(one)), 300)}.` : ""}</p>`
}`;
  return { body, data: { first_line: shown.before + 1, lines: shown.lines, is_cut: end.cut, is_raw: isRaw } };
}

function notBegun({ d }: Ask, one: Run): Html {
  if (one.state === "ended" || one.state === "withdrawn")
    return html`<p class="empty">Run ${one.n} never began${one.stopped === null ? "" : `: ${words(d.redact(one.stopped), 300)}`}.</p>`;
  const blocked = d.steps.blockedBy(one);
  const why = blocked === null ? "" : `: ${ordinal(blocked.place)} in line, ${blocked.limit}`;
  return html`<p class="empty">Run ${one.n} has not begun${why}. It will appear here.</p>`;
}
