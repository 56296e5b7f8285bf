import { isVisit, type Run, shortId, targetOf } from "../../cells/cell.ts";
import { budgetWords, restLine } from "../../commands/words/budget-words.ts";
import { headline } from "../../commands/words/card-headline.ts";
import { healthOf } from "../../commands/words/health-words.ts";
import { confines, endOfRun, moment, span } from "../../commands/words/run-words.ts";
import { cellData } from "../data.ts";
import { type Ask, isEnough, type Page } from "../deps.ts";
import { type Html, html } from "../html.ts";
import { showMarkdown } from "../show-markdown.ts";
import { WEB_VERBS } from "../web-verbs.ts";
import { type Found, findOne, tabs } from "./find-cell.ts";
import { ago, facts, onForge, state, table, words } from "./pieces.ts";

/** One cell: the card's own first words, its facts, what one can do, its last runs. */
export const cell: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const { d } = ask;
  const { cell: one, role } = found;
  const run = d.registry.lastRun(one.id);
  const at = d.clock.now();
  const link = (url: string) => onForge(url, d);
  const seen = healthOf(one);
  const rests = one.state === "idle" ? restLine(one, d) : null;
  const agent = d.config.agents.get(run?.agent ?? one.agent);
  const main = html`${tabs(ask, found)}
<h1 class="headline">${showMarkdown(headline(one, run, d), link)}</h1>
<p class="target"><a href="${link(one.issueUrl)}" id="on-forge">${targetOf(one)}</a> <span dir="auto">${words(one.title, 300)}</span></p>
${answer(ask, found)}
${one.reason !== null && html`<p class="banner">${words(d.redact(one.reason), 400)}</p>`}
${rests !== null && html`<p class="banner">${showMarkdown(rests.markdown, link)}</p>`}
${doing(ask, found, run)}
<section aria-labelledby="facts-h"><h2 id="facts-h">Facts</h2>${facts([
    ["state", state(one.state)],
    [
      "health",
      seen === null
        ? null
        : html`${state(seen.health)} ${role === "observer" ? "" : words(d.redact(seen.reason), 200)}`,
    ],
    ["outcome", one.outcome],
    ["asked by", html`${one.requester.login}, ${ago(one.createdAt, at)}`],
    ["agent", html`<a href="${ask.place.link(`/agents/${one.agent}`)}">${one.agent}</a>, ${confines(agent)}`],
    ["base", html`<code dir="auto">${one.baseName}</code> at <code>${one.baseCommit.slice(0, 12)}</code>`],
    ["branch", html`<code dir="auto">${one.publishedBranch ?? one.branch}</code>`],
    [
      "draft",
      one.pullRequest === null
        ? null
        : `${one.pullRequestRepository ?? one.repository.fullName}#${one.pullRequest}`,
    ],
    ["ends", ["proposed", "active", "idle"].includes(one.state) ? moment(one.expiresAt) : null],
    ["kept until", one.keepUntil === null || one.state !== "archived" ? null : moment(one.keepUntil)],
    ["brief", html`<code>${one.briefSha256.slice(0, 12)}</code>`],
    ["used", run === null ? null : budgetWords(one, run, d).join(", ")],
    ["id", html`<code>${one.id}</code>`],
  ])}</section>
<section aria-labelledby="runs-h"><h2 id="runs-h">Runs</h2>${runTable(ask, found, d.registry.runs(one.id).slice(-5).reverse())}</section>`;
  return {
    title: `${shortId(one.id)} ${targetOf(one)}`,
    main,
    isLive: true,
    data: () => ({
      cells: [cellData(one, role, d)],
      you_can: WEB_VERBS.filter(
        (verb) => verb.fits({ cell: one, run }) && isEnough(role, verb.role({ cell: one, run })),
      ).map(({ name }) => name),
    }),
  };
};

/** What became of what was done just now, in the words of the command's own answer. */
function answer({ query, d }: Ask, { cell: one }: Found): Html {
  const request = query.get("answer") ?? "";
  if (!/^[0-9a-f-]{36}$/.test(request)) return html``;
  const row = d.db.sql
    .prepare("SELECT exit_code AS code, text FROM answers WHERE request = @request")
    .get({ request }) as { code: number; text: string } | undefined;
  if (row === undefined) return html`<p class="banner" role="status">It is being done.</p>`;
  // Whoever has another's address of an answer hears nothing of another cell.
  if (row.code === 0 && !row.text.includes(shortId(one.id))) return html``;
  return html`<p class="banner ${row.code === 0 ? "good" : "bad"}" role="status">${lines(d.redact(row.text))}</p>`;
}

function lines(text: string): Html {
  return html`${text.split("\n").map((line, index) => html`${index > 0 ? html`<br>` : ""}${words(line, 500)}`)}`;
}

/** Buttons that one may press; of the others, in words, who may. */
function doing({ d, place }: Ask, { cell: one, role }: Found, run: Run | null): Html {
  const fitting = WEB_VERBS.filter((verb) => verb.fits({ cell: one, run }));
  if (fitting.length === 0) return html``;
  const mine = fitting.filter((verb) => isEnough(role, verb.role({ cell: one, run })));
  const others = fitting.filter((verb) => !mine.includes(verb));
  const who = (needed: string) =>
    needed === "director"
      ? `directors${d.config.directors.length === 0 ? "" : ` (${d.config.directors.join(", ")})`}`
      : "who has write permission";
  return html`<section aria-labelledby="do-h"><h2 id="do-h">What you can do</h2>
<ul class="actions">${mine.map((verb) => html`<li><a class="button${verb.isFinal === true ? " final" : ""}" href="${place.link(`/cells/${one.id}/${verb.name}`)}" data-dialog>${verb.label}</a></li>`)}</ul>
${others.length > 0 && html`<p class="quiet">Others can: ${others.map((verb) => `${verb.name}: ${who(verb.role({ cell: one, run }))}`).join("; ")}.</p>`}</section>`;
}

/** Runs with what became of each. */
export function runTable({ d, place }: Ask, { cell: one }: Found, runs: readonly Run[]): Html {
  if (runs.length === 0) return html`<p class="empty">No run yet.</p>`;
  const at = d.clock.now();
  return table(
    {
      caption: "Runs, newest first",
      isHidden: true,
      head: ["Run", "Agent", "Began", "Took", "How it ended", "Asked by"],
    },
    runs.map((run) => ({
      id: `run-${run.n}`,
      cells: [
        html`<a href="${place.link(`/cells/${one.id}/runs/${run.n}`)}">${run.n}</a>${isVisit(run) ? " (looks)" : ""}`,
        run.agent,
        run.startedAt === null ? "not begun" : ago(run.startedAt, at),
        run.startedAt === null ? "" : span((run.endedAt ?? at) - run.startedAt),
        run.state === "ended" ? words(d.redact(endOfRun(run)), 200) : html`${state(run.state)}`,
        run.isAutomatic ? "a retry" : run.requester.login,
      ],
    })),
  );
}
