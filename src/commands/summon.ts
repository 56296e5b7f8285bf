import type { NewCell } from "../cells/registry/cell-row.ts";
import type { AgentConfig } from "../config/config.ts";
import { checksOf } from "../config/repository-checks.ts";
import { LazarusError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { parseDuration } from "../units.ts";
import { cellsHere } from "./access/cells-here.ts";
import { resolveTarget, type Target } from "./access/resolve-target.ts";
import { type Answer, type Command, type Deps, type Origin, refuse, type Verb } from "./command.ts";
import { parseTarget } from "./parsing/target.ts";
import { planCell } from "./plan-cell.ts";
import { planRows, planText } from "./words/plan-words.ts";
import { replies } from "./words/replies.ts";
import { lines } from "./words/sentence.ts";

const MINUTE_MS = 60_000;
const SHORTEST_TTL_MS = MINUTE_MS;
const LONGEST_TTL_MS = 90 * 24 * 60 * MINUTE_MS;

export const summon: Verb = {
  name: "summon",
  summary: "makes a cell in which one agent works on the target",
  takesWords: true,
  usage: "summon [AGENT] [TARGET] [--ttl 4h] [--base BRANCH] [--plan] [-- words for the agent]",
  examples: [
    "summon allegro",
    "summon allegro --base release/2 -- keep the old tests",
    "summon allegro acme/app#262 --ttl 4h",
  ],
  who: "write permission on the target",
  flags: {
    "--ttl": { takes: "value", help: "how long the cell lives, from 1m to 90d" },
    "--base": { takes: "value", help: "the branch to start from; else the default branch" },
    "--plan": { takes: "switch", help: "only say what would happen" },
  },
  async run(command, origin, deps) {
    const words = readWords(command, deps);
    return "refusal" in words ? words.refusal : askForCell(words, command, { origin, deps });
  },
};

/** Makes the cell that a `summon` or a `team` asks for. */
export async function askForCell(
  words: Words,
  command: Command,
  { origin, deps }: { readonly origin: Origin; readonly deps: Deps },
): Promise<Answer> {
  const ttlMs = readTtl(command, deps);
  if (ttlMs === null) return refuse("usage", replies.badTtl(String(command.flags["--ttl"])));
  const target = await resolveTarget(
    words.target,
    { verb: command.verb, agent: words.agent.name },
    { origin, deps },
  );
  if ("refusal" in target) return target.refusal;
  const shortage = deps.lifecycle.shortage(target.repository.id);
  if (shortage !== null) return refuse("refused", replies.agentUnavailable(words.agent.name, shortage));
  const base = command.flags["--base"];
  const plan = await planCell(
    {
      agent: words.agent,
      next: words.next,
      target,
      ttlMs,
      base: typeof base === "string" ? base : null,
      words: command.text,
      isTold: command.flags["--plan"] === true,
    },
    { origin, deps },
  );
  if ("refusal" in plan) return plan.refusal;
  if (command.flags["--plan"] === true) return told(plan.cell, words, { target, deps });
  return answer(
    plan,
    words.next.map((one) => one.name),
    { origin, deps },
  );
}

function answer(
  plan: Exclude<Awaited<ReturnType<typeof planCell>>, { refusal: Answer }>,
  next: readonly string[],
  { origin, deps }: { readonly origin: Origin; readonly deps: Deps },
): Answer {
  const { cell } = plan;
  const isElsewhere =
    origin.thread !== null &&
    (origin.thread.repository.id !== cell.repository.id || origin.thread.number !== cell.number);
  const living = cellsHere({ repository: cell.repository, number: cell.number }, deps).filter(
    (one) => one.state !== "archived" && one.id !== cell.id,
  );
  const besides = living.length === 0 ? [] : [replies.besides(living)];
  const said = [...(isElsewhere ? [plan.elsewhere] : []), ...besides];
  return {
    kind: "done",
    line: () => lines(replies.summoned(created(cell.id, deps), placeOf(cell.id, deps)), ...besides),
    data: { id: cell.id, target: `${cell.repository.fullName}#${cell.number}`, state: "proposed" },
    ...(said.length === 0 ? {} : { reply: lines(...said) }),
    // It is done when its agent works: a cell that could not be made was no success.
    isUnderWay: true,
    effects: () => {
      const members = [cell.agent, ...next].map((name) => ({ name, kind: "bot", role: "executor" }) as const);
      deps.lifecycle.create(cell, members, `summoned by ${origin.person.login}`, next);
    },
  };
}

/** Says what would happen, and changes nothing. */
function told(
  cell: NewCell,
  { agent, next }: Words,
  { target, deps }: { readonly target: Target; readonly deps: Pick<Deps, "config" | "clock"> },
): Answer {
  const { limits } = deps.config;
  const issue = target.issue?.number ?? null;
  const ttlMs = cell.expiresAt - deps.clock.now();
  const configured = checksOf(deps.config.checks, cell.repository.fullName);
  const planned = { cell, agents: [agent, ...next], issue, limits, ttlMs, wish: null, configured };
  const reply = planText(planned);
  return { kind: "done", reply, line: reply, data: { plan: Object.fromEntries(planRows(planned)) } };
}

function created(cellId: string, deps: Pick<Deps, "registry">) {
  const cell = deps.registry.cell(cellId);
  if (cell === null) throw new LazarusError("internal", `cell ${cellId} was not written down`);
  return cell;
}

/** Where the last run of a cell stands in line; null when it has its place. */
function placeOf(cellId: string, deps: Pick<Deps, "registry" | "steps">) {
  const run = deps.registry.lastRun(cellId);
  return run === null ? null : deps.steps.blockedBy(run);
}

/** Who is to work on what. */
export interface Words {
  readonly agent: AgentConfig;
  /** After it, in order. */
  readonly next: readonly AgentConfig[];
  readonly target: string | null;
}

/** AGENT may be left out where one is configured; a lone word is a TARGET only if it names no agent. */
function readWords(command: Command, deps: Pick<Deps, "config">): Words | { refusal: Answer } {
  const [first, second, ...rest] = command.words;
  const agents = [...deps.config.agents.keys()];
  if (rest.length > 0) return { refusal: refuse("usage", replies.usage(summon.usage)) };
  const [only] = agents;
  const oneAgent = agents.length === 1 && only !== undefined ? only : null;
  if (first === undefined) {
    return oneAgent === null
      ? { refusal: refuse("usage", replies.whichAgent(agents)) }
      : usable(oneAgent, null, deps);
  }
  if (deps.config.agents.has(first.toLowerCase())) return usable(first.toLowerCase(), second ?? null, deps);
  const isTarget = parseTarget(first, deps.config.forge.url) !== null;
  if (isTarget && second === undefined && oneAgent !== null) return usable(oneAgent, first, deps);
  if (isTarget && second === undefined) return { refusal: refuse("usage", replies.whichAgent(agents)) };
  return { refusal: refuse("not-found", replies.unknownAgent(first, agents, nearest(first, agents))) };
}

/** An agent that can be summoned, or why it cannot. */
export function usable(
  name: string,
  target: string | null,
  deps: Pick<Deps, "config">,
): Words | { refusal: Answer } {
  const agent = deps.config.agents.get(name);
  if (agent === undefined)
    return { refusal: refuse("not-found", replies.unknownAgent(name, [...deps.config.agents.keys()], null)) };
  if (agent.unavailable !== null)
    return { refusal: refuse("refused", replies.agentUnavailable(agent.name, agent.unavailable)) };
  return { agent, next: [], target };
}

/** Null: not a duration in the allowed range. */
function readTtl(command: Command, deps: Pick<Deps, "config">): number | null {
  const typed = command.flags["--ttl"];
  if (typed === undefined) return deps.config.limits.ttlMs;
  return typeof typed === "string" ? readDuration(typed) : null;
}

/** How long a cell may live, in milliseconds; null: not a duration in the allowed range. */
export function readDuration(typed: string): number | null {
  const ttlMs = parseDuration(typed);
  return ttlMs !== null && ttlMs >= SHORTEST_TTL_MS && ttlMs <= LONGEST_TTL_MS ? ttlMs : null;
}
