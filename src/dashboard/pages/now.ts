import { type Cell, isResting, shortId, targetOf } from "../../cells/cell.ts";
import { headline } from "../../commands/words/card-headline.ts";
import { healthOf } from "../../commands/words/health-words.ts";
import { span } from "../../commands/words/run-words.ts";
import { cellData, iso, runData } from "../data.ts";
import type { Ask, Page } from "../deps.ts";
import { type Html, html, type Piece } from "../html.ts";
import { type Need, needFor } from "../needs.ts";
import { atWork, endedSince, lastKeptRuns, MOST_ROWS, mayWait } from "../read-cells.ts";
import { queueStats } from "../read-jobs.ts";
import { showMarkdown } from "../show-markdown.ts";
import { ago, cellLink, onForge, state, table, targetLink, words } from "./pieces.ts";

const DAY_MS = 24 * 60 * 60_000;
const UNWELL = ["dead", "looping", "stalled"];

/** What waits for a person first, yours before others'; then what is unwell, at work, in line, and done. */
export const now: Page = async (ask) => {
  const { d, viewer, sight } = ask;
  const at = d.clock.now();
  const waiting = mayWait(d.db, sight.ids);
  const runs = lastKeptRuns(d.db, waiting);
  const needs = waiting
    .map((cell) => needFor(cell, { d, viewer, role: sight.inCell(cell), run: runs.get(cell.id) }))
    .filter((one) => one !== null)
    .sort((a, b) => Number(b.isYours) - Number(a.isYours) || a.since - b.since);
  const active = atWork(d.db, sight.ids);
  const unwell = active
    .filter((cell) => UNWELL.includes(healthOf(cell)?.health ?? ""))
    .sort((a, b) => UNWELL.indexOf(a.health ?? "") - UNWELL.indexOf(b.health ?? ""));
  const working = active.filter((cell) => !unwell.includes(cell));
  const inLine = d.registry
    .openRuns(["waiting"])
    .map((run) => ({ run, cell: d.registry.cell(run.cellId) }))
    .flatMap(({ run, cell }) =>
      cell !== null && sight.roles.has(cell.repository.id) && !cell.waitsForApproval ? [{ run, cell }] : [],
    );
  const ended = endedSince(d.db, sight.ids, at - DAY_MS).filter(
    (cell) => !needs.some((one) => one.cell.id === cell.id),
  );
  const yours = needs.filter((one) => one.isYours).length;
  const main = html`<h1 class="unseen">Now</h1>${await strip(ask, { active: active.length, inLine: inLine.length })}${hidden(ask)}
${needs.length === 0 && active.length + inLine.length + ended.length > 0 && html`<p class="empty">Nothing waits for a person.</p>`}
${block("waits", "Waits for a person", needs.length, needs.length > 0 && needsTable(ask, needs.slice(0, MOST_ROWS), at))}
${block("unwell", "Unwell", unwell.length, unwell.length > 0 && workTable(ask, unwell.slice(0, MOST_ROWS), { at, caption: "Unwell" }))}
${block("work", "At work", working.length, working.length > 0 && workTable(ask, working.slice(0, MOST_ROWS), { at, caption: "At work" }))}
${block(
  "line",
  "In line",
  inLine.length,
  inLine.length > 0 &&
    table(
      {
        caption: "In line",
        isHidden: true,
        head: ["Place", "Cell", "Target", "Asked by", "Waits for", "Since"],
      },
      inLine.slice(0, MOST_ROWS).map(({ run, cell }, index) => ({
        id: `line-${shortId(cell.id)}-${run.n}`,
        cells: [
          `${index + 1}`,
          cellLink(cell, ask),
          targetLink(cell, d),
          run.requester.login,
          run.notBefore !== null && run.notBefore > at
            ? html`its time, ${ago(run.notBefore, at)}`
            : (d.steps.blockedBy(run)?.limit ?? "its start"),
          ago(run.createdAt, at),
        ],
      })),
    ),
)}
${block(
  "ended",
  "Ended in 24 h",
  ended.length,
  ended.length > 0 &&
    table(
      { caption: "Ended in 24 h", isHidden: true, head: ["Cell", "Target", "Result", "Asked by", "Ended"] },
      ended.map((cell) => ({
        id: `ended-${shortId(cell.id)}`,
        cells: [
          cellLink(cell, ask),
          targetLink(cell, d),
          showMarkdown(headline(cell, d.registry.lastRun(cell.id), d), (url) => onForge(url, d)),
          cell.requester.login,
          ago(d.registry.lastKeptRun(cell.id)?.endedAt ?? cell.createdAt, at),
        ],
      })),
    ),
)}
${needs.length + active.length + inLine.length + ended.length === 0 && nothing(ask)}`;
  const seen = (cells: readonly Cell[]) => ({
    count: cells.length,
    cells: cells.slice(0, MOST_ROWS).map((cell) => cellData(cell, sight.inCell(cell), d)),
  });
  const data = () => ({
    waits_for_a_person: {
      count: needs.length,
      ...{ yours },
      cells: needs.slice(0, MOST_ROWS).map(({ cell, what, whom, isYours, since, verb }) => ({
        ...cellData(cell, sight.inCell(cell), d),
        ...{ what, of_whom: whom, is_yours: isYours, waits_since: iso(since), verb },
      })),
    },
    unwell: seen(unwell),
    at_work: seen(working),
    in_line: {
      count: inLine.length,
      runs: inLine.slice(0, MOST_ROWS).map(({ run, cell }) => ({
        ...{ cell: cell.id, target: targetOf(cell), ...runData(run), not_before_at: iso(run.notBefore) },
        waits_for: d.steps.blockedBy(run)?.limit ?? null,
      })),
    },
    ended: seen(ended),
    is_whole: sight.unknown === 0,
  });
  return { title: yours > 0 ? `(${yours}) Now` : "Now", main, isLive: true, data };
};

function block(id: string, title: string, count: number, body: Piece): Html {
  if (count === 0) return html``;
  const more =
    count > MOST_ROWS ? html`<p class="quiet">${count - MOST_ROWS} more are not shown here.</p>` : "";
  return html`<section id="${id}" aria-labelledby="${id}-h"><h2 id="${id}-h">${title} <span class="count">${count}</span></h2>${body}${more}</section>`;
}

function needsTable(ask: Ask, needs: readonly Need[], at: number): Html {
  return table(
    {
      caption: "Waits for a person",
      isHidden: true,
      head: ["Cell", "Target", "Agent", "What", "Of whom", "Since", "Action"],
    },
    needs.map(({ cell, what, whom, isYours, since, verb }) => ({
      id: `waits-${shortId(cell.id)}`,
      isYours,
      cells: [
        cellLink(cell, ask),
        targetLink(cell, ask.d),
        cell.agent,
        words(ask.d.redact(what)),
        isYours ? html`<strong>you</strong>` : whom,
        ago(since, at),
        isYours
          ? html`<a class="button" href="${ask.place.link(`/cells/${cell.id}/${verb}`)}">${LABELS[verb]}<span class="unseen"> cell ${shortId(cell.id)}</span></a>`
          : "",
      ],
    })),
  );
}

const LABELS: Readonly<Record<Need["verb"], string>> = {
  approve: "Look and approve",
  publish: "Look and publish",
  tell: "Answer",
  revive: "Revive",
};

function workTable(ask: Ask, cells: readonly Cell[], { at, caption }: { at: number; caption: string }): Html {
  const { d } = ask;
  return table(
    { caption, isHidden: true, head: ["Cell", "Target", "Agent", "How it is", "Says", "Last sign", "Time"] },
    cells.map((cell) => {
      const run = d.registry.lastRun(cell.id);
      const seen = healthOf(cell);
      const limit =
        (run === null ? undefined : d.config.agents.get(run.agent)?.limits.runMs) ?? d.config.limits.runMs;
      const took = run?.startedAt == null ? null : at - run.startedAt;
      return {
        id: `work-${shortId(cell.id)}`,
        cells: [
          cellLink(cell, ask),
          targetLink(cell, d),
          run?.agent ?? cell.agent,
          isResting(cell, run)
            ? "its work is being checked"
            : seen === null
              ? "starting"
              : html`${state(seen.health)} ${seen.health === "healthy" ? "" : words(d.redact(seen.reason), 120)}`,
          cell.beat === null
            ? ""
            : words(d.redact([cell.beat.state, cell.beat.message ?? ""].join(" ")), 120),
          cell.seenAt === null ? "" : ago(cell.seenAt, at),
          took === null
            ? ""
            : html`<meter min="0" max="${Math.round(limit / 1000)}" value="${Math.round(Math.min(took, limit) / 1000)}" aria-label="run time of its limit"></meter> ${span(took)} of ${span(limit)}`,
        ],
      };
    }),
  );
}

/** The numbers that say at a glance how it is; each leads to what it counts. */
async function strip({ d, place, viewer }: Ask, seen: { active: number; inLine: number }): Promise<Html> {
  const items: [string, Piece][] = [];
  if (viewer.isOperator) {
    const used = d.registry.openRuns(["admitted", "running"]).length;
    items.push(["/cells?state=active", `${used} of ${d.config.limits.cells} places`]);
  } else items.push(["/cells?state=active", `${seen.active} at work`]);
  items.push(["/#line", `${seen.inLine} in line`]);
  if (viewer.isOperator) {
    const { dead } = queueStats(d.db);
    const reasons = d.notReady();
    items.push([
      "/queue?state=dead",
      dead === 0
        ? "0 dead jobs"
        : html`<strong class="bad">${dead} dead job${dead === 1 ? "" : "s"}</strong>`,
    ]);
    items.push([
      "/health",
      reasons.length === 0 ? "the forge answers" : html`<strong class="bad">not ready</strong>`,
    ]);
    items.push(["/health", `${((await d.files.free()) / 1024 ** 3).toFixed(0)} GB free`]);
  }
  return html`<ul class="strip">${items.map(([path, text]) => html`<li><a href="${place.link(path)}">${text}</a></li>`)}</ul>`;
}

/** Says that the forge did not tell about some repositories, and not which. */
export function hidden({ sight, viewer }: Ask): Html {
  if (sight.unknown === 0) return html``;
  const some = viewer.isOperator
    ? `${sight.unknown} ${sight.unknown === 1 ? "repository" : "repositories"}`
    : "some repositories";
  return html`<p class="banner">The forge does not say now what you may do on ${some}. Their cells are hidden until it does.</p>`;
}

function nothing({ sight, viewer, d }: Ask): Html {
  if (sight.roles.size === 0)
    return html`<p class="empty">You are signed in as ${viewer.person.login}. There is no cell you may see: cells are shown to whoever may read their repository.</p>`;
  const [agent] = d.config.agents.keys();
  return html`<p class="empty">Nothing runs, and nothing waits for anybody. Type <code>/lazarus summon ${agent ?? "AGENT"}</code> on an issue to begin a cell.</p>`;
}
