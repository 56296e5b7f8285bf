import { restOf } from "../../cells/budget.ts";
import { type Cell, isBeingSetUp, isResting, type Run, shortId } from "../../cells/cell.ts";
import type { HistoryRow } from "../../cells/history-row.ts";
import { LOCAL_RUNNER } from "../../cells/runner-jobs.ts";
import { code, details, join, type Markdown, marker, md, quote, table } from "../../gitea/markdown.ts";
import { itemLines } from "./answer-words.ts";
import { budgetWords, quietHead, restLine } from "./budget-words.ts";
import { actions, findings, hint } from "./card-findings.ts";
import { type CardDeps, headline } from "./card-headline.ts";
import { checkLines } from "./check-words.ts";
import { guestLines } from "./guest-words.ts";
import { lifeLine } from "./health-words.ts";
import { messageLines } from "./message-words.ts";
import { editedLines, proposedCard } from "./proposal-words.ts";
import { confines, moment, span, timeUtc } from "./run-words.ts";
import { usage } from "./said-words.ts";
import { nextInTeam, teamOf } from "./team-words.ts";

const MOST_HISTORY_ROWS = 20;

/** The first line of a cell's card, by which it is found again. */
export function cardMarker(cellId: string): Markdown {
  return marker(`card:${cellId}`);
}

/** The status comment of a cell, with the marker by which it is found again. */
export function renderCard(cell: Cell, deps: CardDeps): Markdown {
  return md`${cardMarker(cell.id)}\n${cardContent(cell, deps)}`;
}

/**
 * The same without what changes all the time and nobody waits for: what the agent says and uses, and a place
 * in line.
 */
export function renderCalmCard(cell: Cell, deps: CardDeps): Markdown {
  return renderCard({ ...cell, beat: null }, { ...deps, isCalm: true });
}

/** How a cell is, what came of it, what one may do now, what happened. */
export function cardContent(cell: Cell, deps: CardDeps): Markdown {
  const proposed = proposedCard(cell, deps);
  if (proposed !== null) return proposed;
  const run = deps.registry.lastRun(cell.id);
  const life = lifeLine(cell, run?.agent ?? cell.agent);
  const kept = deps.registry.lastKeptRun(cell.id) ?? run;
  const quiet = quietHead(cell, deps.registry);
  const rests = cell.state === "idle" ? restLine(cell, deps) : null;
  const parts = [
    ...(quiet === null ? [] : [quiet]),
    md`${headline(cell, run, deps)} · cell ${code(shortId(cell.id))}${where(cell)}${tail(cell, cell.state === "active" ? run : kept, deps)}`,
    quote(cell.title, 300),
    ...(life === null ? [] : [life]),
    ...(rests === null ? [] : [rests.markdown]),
    ...editedLines(cell, deps),
    ...findings(cell, { last: run, kept }, deps.clock.now()),
    ...checkLines(cell, cell.checked?.tip === cell.publishedTip ? deps.steps.checks.results(cell) : []),
    ...teamLine(cell, run, deps),
    ...guestLines(cell, {
      ...{ people: deps.registry.guests.of(cell.id), visits: deps.registry.visits.waiting(cell.id) },
      ...{ last: run, now: deps.clock.now() },
    }),
    ...itemLines(cell, deps.registry.items.of(cell.id)),
    ...messageLines(cell, { messages: deps.registry.messages.of(cell.id), last: run }),
    ...(cell.state === "destroyed" ? [] : [details("What you can do", doing(cell, run, deps))]),
    details("History", history(cell, deps.registry.history(cell.id))),
  ];
  return join(parts, "\n\n");
}

/** On which runner of another host it lies. */
function where({ runner }: Cell): string {
  return runner === LOCAL_RUNNER ? "" : ` on ${runner}`;
}

/** Who comes after the run at hand; where they are held, how they go on. */
function teamLine(cell: Cell, run: Run | null, { registry }: CardDeps): Markdown[] {
  const next = nextInTeam(cell, run, teamOf(cell, registry));
  const [first] = registry.team.waiting(cell.id);
  if (next === null || first === undefined) return [];
  const how = next.endsWith("(held)")
    ? md`: ${hint(cell, "revive", first.agent)} lets the next one begin`
    : md``;
  return [md`${next.charAt(0).toUpperCase()}${next.slice(1)}${how}.`];
}

function tail(cell: Cell, run: Run | null, deps: CardDeps): string {
  if (cell.state === "active" && run?.setup != null && isBeingSetUp(run)) {
    const { startedAt, limitMs, network } = run.setup;
    const agent = deps.config.agents.get(run.agent);
    const held = confines(agent === undefined ? undefined : { ...agent, network });
    return ` · ${during(cell, startedAt, limitMs)} · ${held}`;
  }
  if (cell.state === "active" && run?.startedAt != null && !isResting(cell, run)) {
    const agent = deps.config.agents.get(run.agent);
    const time = during(cell, run.startedAt, agent?.limits.runMs ?? deps.config.limits.runMs);
    const used = deps.isCalm === true ? [] : budgetWords(cell, run, deps);
    return [time, confines(agent), ...used].map((one) => ` · ${one}`).join("");
  }
  if (cell.state !== "idle" || run?.collectedAt == null) return "";
  const isSaid = cell.outcome === "failed" || run.stopped !== null;
  const took =
    isSaid || run.startedAt === null || run.endedAt === null
      ? []
      : [`took ${span(run.endedAt - run.startedAt)}`];
  const used = usage(cell.harvest?.said ?? null);
  return [...took, ...(used === "" ? [] : [used]), ...budgetWords(cell, run, deps)]
    .map((one) => ` · ${one}`)
    .join("");
}

/** `since 14:02 UTC, until 16:02 at most`: times of day, as a card that tells ages is edited for nothing. */
function during(cell: Cell, startedAt: number, mostMs: number): string {
  const end = timeUtc(Math.min(startedAt + mostMs, cell.expiresAt), cell.createdAt);
  return `since ${timeUtc(startedAt, cell.createdAt)}, until ${end.replace(/ UTC$/, "")} at most`;
}

function doing(cell: Cell, run: Run | null, deps: CardDeps): Markdown {
  const isLiving = cell.state === "proposed" || cell.state === "active" || cell.state === "idle";
  const acts = actions(cell, run, restOf(cell, deps));
  return isLiving ? md`${acts}\n\nIt expires ${moment(cell.expiresAt)}.` : acts;
}

function history(cell: Cell, rows: readonly HistoryRow[]): Markdown {
  const shown = rows.slice(-MOST_HISTORY_ROWS);
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const time = (at: number) => {
    const clock = new Date(at).toISOString().slice(11, 19);
    return day(at) === day(cell.createdAt) ? clock : `${day(at)} ${clock}`;
  };
  const body = shown.map((row) => [
    time(row.at),
    row.to === "active" ? workingWords(cell, row) : row.why,
    row.who,
  ]);
  return table([`when (UTC, ${day(cell.createdAt)})`, "what", "who"], body);
}

function workingWords(cell: Cell, row: HistoryRow): Markdown {
  return md`${row.why}, from ${code(cell.baseName)} at ${code(cell.baseCommit.slice(0, 7))}`;
}
