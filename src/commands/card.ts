import { type Cell, type HistoryRow, type Run, shortId } from "../cells/cell.ts";
import { heldFor } from "../cells/decide.ts";
import type { AgentConfig } from "../config.ts";
import {
  code,
  details,
  fenced,
  join,
  type Markdown,
  marker,
  md,
  quote,
  raw,
  table,
} from "../gitea/markdown.ts";
import type { Deps } from "./command.ts";
import { ordinal } from "./replies.ts";
import { endOfRun, span } from "./run-words.ts";

const MOST_HISTORY_ROWS = 20;

/** The first line of a cell's card, by which it is found again. */
export function cardMarker(cellId: string): Markdown {
  return marker(`card:${cellId}`);
}

type CardDeps = Pick<Deps, "registry" | "clock" | "lifecycle" | "config">;

/** The status comment of a cell, with the marker by which it is found again. */
export function renderCard(cell: Cell, deps: CardDeps): Markdown {
  return md`${cardMarker(cell.id)}\n${cardContent(cell, deps)}`;
}

/** How a cell is, what came of it, what one may do now, what happened. */
export function cardContent(cell: Cell, deps: CardDeps): Markdown {
  const run = deps.registry.lastRun(cell.id);
  const parts = [
    md`${headline(cell, run, deps)} · cell ${code(shortId(cell.id))}${tail(cell, run, deps)}`,
    quote(cell.title, 300),
    ...findings(cell, run),
    ...(cell.state === "destroyed" ? [] : [details("What you can do", actions(cell))]),
    details("History", history(cell, deps.registry.history(cell.id))),
  ];
  return join(parts, "\n\n");
}

function headline(cell: Cell, run: Run | null, deps: CardDeps): Markdown {
  const agent = run?.agent ?? cell.agent;
  if (cell.closing?.thenDestroy) return md`**being destroyed** by ${cell.closing.by}`;
  switch (cell.state) {
    case "proposed":
      return waiting(cell, run, deps);
    case "active":
      return md`**${agent} is working** on ${raw(`#${cell.number}`)}`;
    case "idle":
      return idle(cell, run, agent);
    case "closing":
      return md`**being closed** by ${cell.closing?.by ?? "lazarus"}`;
    case "archived":
      return archived(cell, lastWho(cell, deps));
    case "destroyed":
      return md`**destroyed** by ${lastWho(cell, deps)}`;
    default:
      return cell.state satisfies never;
  }
}

function waiting(cell: Cell, run: Run | null, deps: CardDeps): Markdown {
  if (cell.waitsForApproval) {
    const people = deps.config.directors.length === 0 ? "" : ` (${deps.config.directors.join(", ")})`;
    return md`**${cell.agent} waits for approval** by a director${people}`;
  }
  const blocked = run === null ? null : deps.lifecycle.steps.blockedBy(run);
  if (blocked !== null)
    return md`**${cell.agent} waits for a place**: ${ordinal(blocked.place)} in line, ${blocked.limit}`;
  return md`**${cell.agent} is being started** on ${raw(`#${cell.number}`)}`;
}

function idle(cell: Cell, run: Run | null, agent: string): Markdown {
  if (run?.state === "waiting" || run?.state === "admitted") return md`**${agent} is about to go on**`;
  if (run?.state === "ended" && run.startedAt !== null && run.collectedAt === null) {
    return md`**${agent} has ended** (${endOfRun(run)}): what it left is being looked at`;
  }
  const harvest = cell.harvest;
  const ended = run === null ? "" : endOfRun(run);
  if (harvest === null) return md`**${agent} could not go on**`;
  if (!harvest.changed) {
    if (cell.outcome === "failed") return md`**${agent} stopped**: ${ended}`;
    return run?.stopped == null
      ? md`**${agent} changed nothing**`
      : md`**${agent} changed nothing**, ${ended}`;
  }
  if (cell.outcome !== "failed" && run?.stopped != null)
    return md`**${agent} was stopped** (${ended}): ${size(cell)}${destination(cell)}`;
  const verb = cell.outcome === "failed" ? md`**${agent} stopped** (${ended})` : md`**${agent} is done**`;
  if (harvest.tip === null) return md`${verb}: held back`;
  return md`${verb}: ${size(cell)}${destination(cell)}`;
}

function size(cell: Cell): string {
  const harvest = cell.harvest;
  if (harvest === null) return "";
  const plural = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${plural(harvest.commitCount, "commit")}, ${plural(harvest.files, "file")}, +${harvest.added} −${harvest.removed}`;
}

function destination(cell: Cell): Markdown {
  if (heldFor(cell).length > 0) return md`, held back`;
  if (cell.pushRefused !== null) return md`, not published`;
  if (cell.publishedTip !== cell.harvest?.tip) return md`, being published`;
  const branch = cell.publishedBranch ?? cell.branch;
  if (cell.delivery === "branch" && branch === cell.branch) return md` → ${code(branch)}`;
  if (cell.pullRequest === null) return md` → ${code(branch)}, its draft is being opened`;
  return md` → draft ${pullRequestLink(cell)}`;
}

function pullRequestLink(cell: Cell): Markdown {
  const isHere =
    cell.pullRequestRepository === null || cell.pullRequestRepository === cell.repository.fullName;
  return isHere ? raw(`#${cell.pullRequest}`) : raw(`${cell.pullRequestRepository}#${cell.pullRequest}`);
}

function archived(cell: Cell, by: string): Markdown {
  if (cell.sealedAt === null) return cell.outcome === "declined" ? md`**declined**` : md`**not made**`;
  if (cell.outcome === "discarded") return md`**closed by ${by}** without publishing, archived`;
  return md`**closed by ${by}**: ${published(cell)}, archived`;
}

/** Where the work of a closed cell is to be found. */
export function published(cell: Cell): Markdown {
  if (cell.outcome === "merged" || cell.outcome === "rejected") return decided(cell);
  if (cell.publishedTip === null || cell.outcome === "discarded") return md`not published`;
  if (cell.pullRequest !== null) return md`published as ${pullRequestLink(cell)}`;
  return md`published on ${code(cell.publishedBranch ?? cell.branch)}`;
}

/** What people made of its pull request, and whether anything came too late for that. */
function decided(cell: Cell): Markdown {
  const link = cell.pullRequest === null ? raw(`#${cell.number}`) : pullRequestLink(cell);
  const isLate = cell.harvest !== null && cell.harvest.tip !== null && cell.harvest.tip !== cell.publishedTip;
  const late = isLate ? md` (what was made after its last push is only in the seal)` : md``;
  return cell.outcome === "merged" ? md`merged as ${link}${late}` : md`${link} was not merged${late}`;
}

function lastWho(cell: Cell, deps: CardDeps): string {
  return deps.registry.history(cell.id).at(-1)?.who ?? "lazarus";
}

/** What holds the agent, in a few words. */
function confines(agent: AgentConfig | undefined): string {
  if (agent === undefined) return "no longer configured";
  if (agent.backend === "process") return "process, not isolated";
  if (typeof agent.network !== "string") return `${agent.backend}, network: ${agent.network.join(", ")}`;
  return `${agent.backend}, ${agent.network === "none" ? "no network" : "full network"}`;
}

function tail(cell: Cell, run: Run | null, deps: CardDeps): string {
  if (cell.state === "active" && run?.startedAt != null) {
    const agent = deps.config.agents.get(run.agent);
    return ` · ${span(deps.clock.now() - run.startedAt)} of ${span(agent?.limits.runMs ?? deps.config.limits.runMs)} · ${confines(agent)}`;
  }
  const isSaid = cell.outcome === "failed" || run?.stopped != null || run?.collectedAt === null;
  if (cell.state === "idle" && !isSaid && run?.startedAt != null && run.endedAt !== null)
    return ` · took ${span(run.endedAt - run.startedAt)}`;
  return "";
}

function findings(cell: Cell, run: Run | null): Markdown[] {
  const found: Markdown[] = [];
  const harvest = cell.harvest;
  if (cell.waitsForApproval) {
    found.push(
      md`${asSentence(cell.reason ?? "it is to be approved")} A director lets it start with ${code("/lazarus approve")}; the brief has the hash ${code(cell.briefSha256.slice(0, 12))}.`,
    );
    found.push(details("The brief", fenced(cell.brief, 16_000)));
  } else if (cell.reason !== null) found.push(md`${asSentence(cell.reason)}`);
  for (const reason of heldFor(cell)) found.push(md`Held back: ${reason}.`);
  if (heldFor(cell).length > 0) found.push(howToLetGo(cell));
  if (cell.releasedBy !== null && cell.releasedTip === harvest?.tip)
    found.push(md`Let go by ${cell.releasedBy}.`);
  if (harvest?.salvaged) found.push(md`${harvest.salvaged}.`);
  if (harvest?.unfinished)
    found.push(
      md`It was left in the middle of a ${harvest.unfinished}: the files as they lay are in the last commit.`,
    );
  if (run !== null && run.refusedHosts.length > 0) {
    found.push(md`It asked for hosts it may not reach: ${run.refusedHosts.join(", ")}.`);
  }
  if (run !== null && run.leftovers.length > 0) {
    found.push(md`These processes could not be ended: ${run.leftovers.join("; ")}.`);
  }
  const review = cell.state === "idle" && cell.pullRequest !== null && cell.publishedTip === harvest?.tip;
  if (review)
    found.push(md`Review ${pullRequestLink(cell)}; ${code("/lazarus close")} closes the cell (directors).`);
  if (harvest !== null && !harvest.changed && harvest.report !== null)
    found.push(details(`What ${cell.agent} reports`, quote(harvest.report, 8_000)));
  if (harvest !== null && cell.outcome === "failed" && harvest.logTail !== "")
    found.push(details("The end of its log", fenced(harvest.logTail, 4_000, "end")));
  return cell.state === "destroyed" ? [] : found;
}

/** With a capital and a full stop; an agent's or a branch's name at its start stays as it is. */
function asSentence(text: string): string {
  const isWord = /^(the|it|its|somebody|not|withdrawn|stopped|declined|over|there)\b/.test(text);
  const begun = isWord ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`;
}

/** Nothing was pushed: what a director may do about it. */
function howToLetGo(cell: Cell): Markdown {
  const kept = md`Nothing was pushed; the work is kept in the cell.`;
  const { harvest } = cell;
  if (harvest === null || harvest.tip === null) return kept;
  if (harvest.forbidden.length > 0) return md`${kept} What shows a secret is never published.`;
  const flag = harvest.protectedPaths.length > 0 ? " --allow-protected" : "";
  return md`${kept} ${code(`/lazarus publish${flag}`)} lets it go (directors).`;
}

function actions(cell: Cell): Markdown {
  const all: Record<Exclude<Cell["state"], "destroyed">, readonly (readonly [string, string])[]> = {
    proposed: cell.waitsForApproval
      ? [
          ["approve", "lets it start (directors)"],
          ["decline", "turns it down (directors)"],
        ]
      : [
          ["stop", "withdraws it"],
          ["decline", "turns it down (directors)"],
        ],
    active: [
      ["logs", "shows its output"],
      ["stop", "ends this run, keeps the work"],
      ["close", "publishes and archives (directors)"],
    ],
    idle: [
      ["revive", "lets it go on"],
      ["logs", "shows its output"],
      ["close", "publishes and archives (directors)"],
    ],
    closing: [["status", "says how far it is"]],
    archived: [
      ["why", "explains"],
      ["destroy", "scrubs it from disk (directors)"],
    ],
  };
  const here = cell.state === "destroyed" ? [] : all[cell.state];
  return join(
    here.map(([verb, does]) => md`${code(`/lazarus ${verb}`)} ${does}`),
    " · ",
  );
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
