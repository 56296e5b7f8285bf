import { usageOf } from "../../cells/budget.ts";
import { type Cell, isSetupDone, isVisit, type Run, targetOf } from "../../cells/cell.ts";
import type { CheckResult } from "../../cells/check.ts";
import type { Item } from "../../cells/registry/items.ts";
import type { Proposal } from "../../cells/registry/proposals.ts";
import type { Registry } from "../../cells/registry/registry.ts";
import { howSetupEnded } from "../../cells/setup.ts";
import { membersAsJson } from "../../cells/steps/cell-spec.ts";
import { isRetryInLine } from "../../cells/steps/decide.ts";
import { type TurnState, turnsOf } from "../../cells/turns.ts";
import { toIso } from "../../clock.ts";
import { healthOf } from "./health-words.ts";
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
  /** Its agents, then people who are its guests: `until` is when that ends, null: with the cell. */
  readonly members: readonly {
    readonly name: string;
    readonly kind: string;
    readonly role: string;
    readonly until?: string | null | undefined;
  }[];
  readonly outcome: string | null;
  /** Where its directory lies; `local`: on the host of the server. */
  readonly runner: string;
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
  /** What was run on what it pushed last. */
  readonly checks: readonly {
    readonly name: string;
    readonly tip: string;
    readonly state: string;
    readonly exit: number | null;
    readonly ms: number | null;
    /** What it comes to on the base; null: nobody has run it there. */
    readonly on_base: string | null;
    readonly why: string | null;
  }[];
  /** What the last run that ended turned out to be; one of the classes in docs/runs.md. */
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
  /** Why nothing is tried again, or begins, by itself. */
  readonly breaker: string | null;
  /** What its runs used, as their agents tell it; null: none told. */
  readonly usage: { readonly cost_usd: number | null; readonly tokens: number | null };
  /** What its proposal asks for besides, and how that stands; null: it was not proposed. */
  readonly proposal: {
    readonly state: string;
    readonly author: string;
    readonly approved_by: string | null;
    /** Names; null: all that there are. */
    readonly checks: readonly string[] | null;
    readonly untouched: readonly string[];
    /** When its issue was seen to read otherwise than what was approved. */
    readonly edited_at: string | null;
    readonly mistakes: readonly { readonly field: string | null; readonly text: string }[];
  } | null;
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

/** What `status` tells programs of a cell. `breaker`: why nothing begins there by itself. */
export function viewOf(
  cell: Cell,
  {
    registry,
    steps,
  }: {
    readonly registry: Pick<
      Registry,
      "members" | "lastRun" | "lastKeptRun" | "runs" | "messages" | "items" | "team" | "proposals"
    >;
    readonly steps: { readonly checks: { results(cell: Cell): CheckResult[] } };
  },
  breaker: string | null = cell.breaker,
): CellView {
  const used = usageOf(registry.runs(cell.id));
  const seen = healthOf(cell);
  const checks = steps.checks.results(cell);
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
    members: membersAsJson(registry.members(cell.id)),
    outcome: cell.outcome,
    runner: cell.runner,
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
    checks: checksOf(cell, checks),
    exit: runs.findLast((run) => run.exitClass !== null && !isVisit(run))?.exitClass ?? null,
    said: saidOf(cell),
    next_run_at: retryAt === null ? null : toIso(retryAt),
    refused_hosts: [...new Set((registry.lastKeptRun(cell.id) ?? last)?.refusedHosts ?? [])],
    breaker,
    usage: {
      // Sums of hundredths are none.
      cost_usd: used.costUsd === null ? null : Number(used.costUsd.toFixed(6)),
      tokens: used.tokens,
    },
    proposal: proposalOf(registry.proposals.ofCell(cell.id)),
    setup: setupOf(last),
  };
}

function checksOf({ checked }: Cell, results: readonly CheckResult[]): CellView["checks"] {
  return results.map(({ name, state, code, tookMs, onBase, why }) => {
    return { name, tip: checked?.tip ?? "", state, exit: code, ms: tookMs, on_base: onBase, why };
  });
}

function proposalOf(proposal: Proposal | null): CellView["proposal"] {
  if (proposal === null) return null;
  const { state, author, approver, wish, editedAt, mistakes } = proposal;
  return {
    ...{ state, author: author.login, approved_by: approver?.login ?? null, mistakes },
    ...{ checks: wish?.checks ?? null, untouched: wish?.untouched ?? [] },
    edited_at: editedAt === null ? null : toIso(editedAt),
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
