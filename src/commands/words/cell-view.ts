import { type Cell, isBeingSetUp, isSetupDone, type Run, shortId, targetOf } from "../../cells/cell.ts";
import type { ExitClass } from "../../cells/exit.ts";
import type { Item } from "../../cells/registry/items.ts";
import type { Registry } from "../../cells/registry/registry.ts";
import { howSetupEnded, shortCommand } from "../../cells/setup.ts";
import { heldFor, isRetryInLine } from "../../cells/steps/decide.ts";
import { type TurnState, turnsOf } from "../../cells/turns.ts";
import { toIso } from "../../clock.ts";
import { briefly, healthOf } from "./health-words.ts";
import { timeUtc } from "./run-words.ts";
import { onOneTerminalLine } from "./sentence.ts";
import { failedSetup } from "./setup-words.ts";
import { teamOf } from "./team-words.ts";

/** A cell as programs see it in `--json`: the words of product.md, times in RFC 3339. */
export interface CellView {
  readonly id: string;
  readonly state: string;
  readonly health: string | null;
  /** Why it does not go on, else why it is healthy or not. */
  readonly reason: string | null;
  readonly health_reason: string | null;
  readonly health_since: string | null;
  readonly last_seen_at: string | null;
  /** What the agent said of itself last. */
  readonly heartbeat: {
    readonly at: string;
    readonly state: string;
    readonly message: string | null;
    readonly progress: number | string | null;
    readonly by: string;
  } | null;
  readonly target: string;
  readonly title: string;
  readonly agent: string;
  /** All agents of its team in the order of their turns; one alone where it is none. */
  readonly team: readonly string[];
  readonly members: readonly { readonly name: string; readonly kind: string; readonly role: string }[];
  readonly outcome: string | null;
  readonly branch: string;
  readonly pull_request: number | null;
  readonly requested_by: string;
  readonly brief_sha256: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly runs: number;
  /** Each agent's goes at the tree, oldest first; a run that failed and its retries are one. */
  readonly turns: readonly {
    readonly n: number;
    readonly agent: string;
    readonly role: string;
    readonly kind: string;
    readonly state: TurnState;
    /** What its last run turned out to be; null while it is not over. */
    readonly end: string | null;
    readonly started_at: string | null;
    readonly runs: readonly number[];
  }[];
  /** What people told its agents, in order. */
  readonly messages: readonly {
    readonly id: number;
    readonly from: string;
    readonly at: string;
    readonly state: string;
    /** Null: whoever works, or worked last. */
    readonly for: string | null;
    /** The run that it was given to. */
    readonly run: number | null;
    readonly why: string | null;
  }[];
  /** What reviews of its draft ask for, by number. */
  readonly items: readonly {
    readonly n: number;
    readonly kind: string;
    readonly author: string;
    /** Null where it stands at no line. */
    readonly path: string | null;
    readonly line: number | null;
    readonly state: string;
    readonly said: string;
    /** The turn that it was given to last. */
    readonly turn: number | null;
    /** What the agent said of it: `done`, `declined`, `asks`, `later`. */
    readonly verdict: string | null;
    readonly words: string;
    /** The commit that it names, where Lazarus found it. */
    readonly commit: string | null;
    readonly why: string | null;
  }[];
  /** What the last run that ended turned out to be; one of the classes of the README's table. */
  readonly exit: string | null;
  /** What its agent said and did in its last run, by its own events; its words. */
  readonly said: {
    readonly words: string;
    readonly ran: readonly {
      readonly command: string;
      readonly exit: number | null;
      readonly failed: boolean;
    }[];
    readonly denied: readonly { readonly what: string; readonly why: string }[];
    readonly turns: number | null;
    readonly cost_usd: number | null;
    readonly trouble: string;
  } | null;
  /** When the next run starts by itself. */
  readonly next_run_at: string | null;
  /** `host:port` of what the last run asked for and may not reach. */
  readonly refused_hosts: readonly string[];
  /** Why nothing is tried again by itself. */
  readonly breaker: string | null;
  /** How its cell was set up for the last run; null: it was not. */
  readonly setup: {
    readonly run: number;
    readonly command: string;
    readonly started_at: string;
    /** Null while it is at work. */
    readonly ended_at: string | null;
    readonly code: number | null;
    /** Why it failed; null where it did not, or is at work. */
    readonly failed: string | null;
  } | null;
}

/** What `status` tells programs of a cell. */
export function viewOf(
  cell: Cell,
  registry: Pick<Registry, "members" | "lastRun" | "lastKeptRun" | "runs" | "messages" | "items" | "team">,
): CellView {
  const seen = healthOf(cell);
  const last = registry.lastRun(cell.id);
  const runs = registry.runs(cell.id);
  const retryAt = last !== null && isRetryInLine(last) ? last.notBefore : null;
  return {
    id: cell.id,
    state: cell.state,
    health: cell.health,
    reason: cell.reason ?? seen?.reason ?? null,
    health_reason: seen?.reason ?? null,
    health_since: seen === null ? null : toIso(seen.since),
    last_seen_at: seen === null ? null : toIso(seen.seenAt),
    heartbeat: seen === null || cell.beat === null ? null : { ...cell.beat, at: toIso(cell.beat.at) },
    target: targetOf(cell),
    title: cell.title,
    agent: cell.agent,
    team: teamOf(cell, registry).agents,
    members: registry.members(cell.id),
    outcome: cell.outcome,
    branch: cell.publishedBranch ?? cell.branch,
    pull_request: cell.pullRequest,
    requested_by: cell.requester.login,
    brief_sha256: cell.briefSha256,
    created_at: toIso(cell.createdAt),
    expires_at: toIso(cell.expiresAt),
    runs: last?.n ?? 0,
    turns: turnsOf(runs).map(({ startedAt, ...turn }) => ({
      ...turn,
      started_at: startedAt === null ? null : toIso(startedAt),
    })),
    messages: registry.messages.of(cell.id).map(({ id, author, at, state, agent, run, why }) => {
      return { id, from: author.login, at: toIso(at), state, for: agent, run, why };
    }),
    items: registry.items.of(cell.id).map(itemView),
    exit: runs.findLast((run) => run.exitClass !== null)?.exitClass ?? null,
    said: saidOf(cell),
    next_run_at: retryAt === null ? null : toIso(retryAt),
    refused_hosts: [...new Set((registry.lastKeptRun(cell.id) ?? last)?.refusedHosts ?? [])],
    breaker: cell.breaker,
    setup: setupOf(last),
  };
}

function itemView(item: Item): CellView["items"][number] {
  const { n, kind, author, path, line, oldLine, state, said, turn, verdict, words, foundCommit, why } = item;
  const place = path === "" ? { path: null, line: null } : { path, line: line || oldLine || null };
  return {
    n,
    kind,
    author: author.login,
    ...place,
    state,
    said,
    turn,
    verdict,
    words,
    commit: foundCommit,
    why,
  };
}

function setupOf(run: Run | null): CellView["setup"] {
  if (run?.setup == null) return null;
  const { command, startedAt, end } = run.setup;
  return {
    run: run.n,
    command,
    started_at: toIso(startedAt),
    ended_at: end === null ? null : toIso(end.endedAt),
    code: end?.code ?? null,
    failed: end === null || isSetupDone(end) ? null : howSetupEnded(end),
  };
}

function saidOf({ harvest }: Cell): CellView["said"] {
  if (harvest?.said == null) return null;
  const { words, ran, denied, turns, costUsd, trouble } = harvest.said;
  const commands = ran.map(({ command, exit, isFailed }) => ({ command, exit, failed: isFailed }));
  return { words, ran: commands, denied, turns, cost_usd: costUsd, trouble };
}

export const COLUMNS = ["CELL", "STATE", "AGENT", "TARGET", "HEALTH", "AGE", "RESULT"] as const;

/** The same cell as a row for people, in the columns of `COLUMNS`. */
export function rowOf(cell: Cell, last: Run | null, now: number): string[] {
  return [
    shortId(cell.id),
    cell.state,
    cell.agent,
    targetOf(cell),
    healthWords(cell, now),
    age(now - cell.createdAt),
    cut(onOneTerminalLine(setupResult(last) ?? resultOf(cell, last, now))),
  ];
}

/** `healthy`, `stalled 11m: silent`, or `-`. */
function healthWords(cell: Cell, now: number): string {
  const seen = healthOf(cell);
  if (seen === null) return cell.health ?? "-";
  if (seen.health === "healthy") return seen.health;
  return `${seen.health} ${age(now - seen.since)}: ${briefly(seen.health)}`;
}

/** Of a run whose cell is being set up, or could not be. */
function setupResult(last: Run | null): string | null {
  if (last?.setup != null && isBeingSetUp(last)) return `setting up: ${shortCommand(last.setup)}`;
  return failedSetup(last) === null ? null : (last?.stopped ?? "not set up");
}

/** What came of it, and what it waits for: what a person must see to comes first. */
function resultOf(cell: Cell, last: Run | null, now: number): string {
  const draft = cell.pullRequest === null ? "" : `, draft #${cell.pullRequest}`;
  const waits = cell.state === "idle" ? idleResult(cell, last, now) : null;
  if (waits !== null) return `${waits}${draft}`;
  if (cell.state === "archived" && cell.sealedAt === null && cell.outcome === "failed")
    return `not started: ${cell.notStarted ?? "it is not known why"}`;
  if (cell.pullRequest !== null && cell.state !== "destroyed") {
    if (cell.outcome === "merged") return `merged #${cell.pullRequest}`;
    if (cell.outcome === "rejected") return `#${cell.pullRequest}, not merged`;
    return cell.state === "archived" ? `published #${cell.pullRequest}` : `draft #${cell.pullRequest}`;
  }
  if (cell.state === "proposed") return cell.waitsForApproval ? "waits for approval" : "waits to start";
  return cell.reason ?? cell.outcome ?? "";
}

const NEEDS: { readonly [C in ExitClass]?: string } = {
  question: "asks a question",
  "not-logged-in": "not logged in",
  "no-credit": "no credit",
  "cannot-run": "cannot be run",
};

/** What an idle cell waits for; null where it waits for nobody. */
function idleResult(cell: Cell, last: Run | null, now: number): string | null {
  if (last !== null && isRetryInLine(last)) {
    if (last.notBefore === null || last.notBefore <= now) return "waits to go on";
    return `waits for a retry at ${timeUtc(last.notBefore, now)}`;
  }
  if (heldFor(cell).length > 0) return "held back";
  if (cell.pushRefused !== null) return "push refused";
  if (last?.state === "ended" && last.startedAt === null) return `not started: ${last.stopped ?? "refused"}`;
  const need = last?.state === "ended" && last.exitClass !== null ? NEEDS[last.exitClass] : undefined;
  return need ?? (cell.breaker === null ? null : "gave up");
}

function cut(text: string): string {
  return text.length > WIDEST_RESULT ? `${text.slice(0, WIDEST_RESULT - 1)}…` : text;
}

const WIDEST_RESULT = 60;

/** A span as people say it: `12m`, `3h`, `5d`. */
export function age(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))}s`;
  if (minutes < 60) return `${minutes}m`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 1440)}d`;
}

/** Text in columns, as wide as their widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
