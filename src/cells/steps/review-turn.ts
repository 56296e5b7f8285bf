import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/config.ts";
import type { BudgetConfig } from "../budget.ts";
import { type Cell, isResting, isVisit, type Run } from "../cell.ts";
import { toldPrompt } from "../prompt.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beforeOf } from "../registry/before.ts";
import type { Item } from "../registry/items.ts";
import { turnsOf } from "../turns.ts";
import { isReviewInLine, isUncollected } from "./decide.ts";
import { type BeginDeps, mayBegin } from "./may-begin.ts";
import type { Steps } from "./steps.ts";

export interface ReviewTurnDeps extends BeginDeps {
  readonly steps: Steps;
  readonly clock: Clock;
  readonly config: BudgetConfig & { readonly limits: Pick<Config["limits"], "reviewWaitMs" | "rounds"> };
}

/** However many reviews come, the first one waits no longer than this. */
const LONGEST_WAIT_MS = 5 * 60_000;

/**
 * Begins a turn that answers what reviews ask for, some time after the last of them, so that all of them are
 * one turn; where one waits already, it waits for the new ones as well. Only where the cell is idle, what its
 * last run left was looked at, and nothing else is in line. Answers whether there is such a turn.
 */
export function beginReviewTurn(deps: ReviewTurnDeps, cellId: string): boolean {
  const { registry, steps, config } = deps;
  const cell = registry.mustCell(cellId);
  if (!isResting(cell, registry.lastRun(cellId)) || cell.closing !== null) return false;
  const points = registry.items.open(cellId).filter(isAskedFor);
  const newest = points.at(-1);
  if (newest === undefined) return false;
  const last = registry.lastRun(cellId);
  if (last !== null && isReviewInLine(last)) {
    registry.updateRun(cellId, last.n, { notBefore: startOf(points, deps) });
    steps.card(cellId);
    return true;
  }
  if (last !== null && ["waiting", "admitted", "running"].includes(last.state)) return false;
  const kept = registry.lastKeptRun(cellId);
  if ([last, kept].some((run) => run !== null && isUncollected(run))) return false;
  if (!mayBegin(deps, cell, { isAsked: false })) return false;
  const { author } = newest;
  if (loopOf(registry.runs(cellId), config.limits.rounds) === author.id) {
    latch(deps, cellId, author.login);
    return false;
  }
  const agent = kept?.agent ?? cell.agent;
  registry.addMember(cellId, { name: agent, kind: "bot", role: "executor" });
  registry.update(cellId, { ...NOTHING_IN_THE_WAY, pushRefused: null, breaker: null });
  registry.addRun({
    ...{ cellId, agent, requester: author, role: "executor", turnKind: "review", state: "waiting" },
    notBefore: startOf(points, deps),
    prompt: toldPrompt(author, beforeOf(cell, registry, agent)),
  });
  steps.admitWaiting();
  steps.card(cellId);
  return true;
}

/**
 * Whether an open item is a point that nobody was given yet. A remark begins no turn, and neither does what
 * had no answer: both go along with the next one.
 */
export function isAskedFor(item: Pick<Item, "kind" | "turn">): boolean {
  return item.kind !== "remark" && item.turn === null;
}

/** Never more than a wait away: a clock that was set back takes no time of a point with it. */
function startOf(
  points: readonly Item[],
  { clock, config }: Pick<ReviewTurnDeps, "clock" | "config">,
): number {
  const waitMs = config.limits.reviewWaitMs;
  const times = points.map((one) => one.at);
  const longest = Math.min(...times) + Math.max(waitMs, LONGEST_WAIT_MS);
  return Math.min(Math.max(...times) + waitMs, longest, clock.now() + waitMs);
}

/**
 * Who asked for each of the last so many turns by reviews, where nobody else said anything: the forge's id of
 * that person; null where there is no such person. Pure.
 */
function loopOf(runs: readonly Run[], rounds: number): number | null {
  if (rounds === 0) return null;
  const turns = turnsOf(runs).filter((turn) => turn.state !== "withdrawn" && !isVisit(turn));
  const lastOnes = turns.slice(-rounds);
  if (lastOnes.length < rounds || lastOnes.some(({ kind }) => kind !== "review")) return null;
  const [id = null, ...others] = new Set(
    lastOnes.map((turn) => runs.find((one) => one.n === turn.runs[0])?.requester.id ?? null),
  );
  return others.length > 0 ? null : id;
}

/** Whether a cell rests since one person asked for turn after turn: only a director lets it go on. */
export function restsAfterRounds(
  cell: Pick<Cell, "id" | "breaker">,
  { registry, config }: Pick<ReviewTurnDeps, "registry" | "config">,
): boolean {
  return cell.breaker !== null && loopOf(registry.runs(cell.id), config.limits.rounds) !== null;
}

/** Said once: a person must want it to go on. */
function latch({ registry, steps, announce }: ReviewTurnDeps, cellId: string, login: string): void {
  const cell = registry.mustCell(cellId);
  const run = registry.lastKeptRun(cellId);
  if (cell.breaker !== null || run === null) return;
  const rounds = turnsOf(registry.runs(cellId)).filter((turn) => turn.kind === "review").length;
  registry.update(cellId, { breaker: `stopped after ${rounds} rounds of reviews by ${login}` });
  announce({ kind: "needs-you", cell: registry.mustCell(cellId), run });
  steps.card(cellId);
}
