import type { Config } from "../../config/config.ts";
import type { BudgetConfig } from "../budget.ts";
import { isResting, isVisit } from "../cell.ts";
import { fixPrompt } from "../prompt.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beforeOf } from "../registry/before.ts";
import { turnsOf } from "../turns.ts";
import { type BeginDeps, mayBegin } from "./may-begin.ts";
import type { Steps } from "./steps.ts";

export interface FixTurnDeps extends BeginDeps {
  readonly steps: Steps;
  readonly config: BudgetConfig & { readonly limits: Pick<Config["limits"], "fixes"> };
}

/**
 * Begins a turn for the agent whose work fails a check that passes on the base: as often in a row as
 * `limits.fixes` says, and then people are asked. Only where that agent thought it was done, and nothing else
 * is in line. Answers whether it did.
 */
export function beginFixTurn(deps: FixTurnDeps, cellId: string): boolean {
  const { registry, steps, config } = deps;
  const cell = registry.mustCell(cellId);
  const [last, kept] = [registry.lastRun(cellId), registry.lastKeptRun(cellId)];
  if (!isResting(cell, last) || cell.closing !== null || cell.breaker !== null) return false;
  // Who only looked since is not in its way.
  const newest = registry.runs(cellId).findLast((run) => !isVisit(run));
  if (kept?.exitClass !== "done" || newest?.n !== kept.n || last?.state === "waiting") return false;
  const failed = steps.checks
    .results(cell)
    .filter(({ state, onBase }) => state === "failed" && onBase === "passed");
  const turns = turnsOf(registry.runs(cellId)).filter((turn) => turn.state !== "withdrawn" && !isVisit(turn));
  const before = turns.length - 1 - turns.findLastIndex((turn) => turn.kind !== "fix");
  if (failed.length === 0 || before >= config.limits.fixes) return false;
  if (!mayBegin(deps, cell, { isAsked: false })) return false;
  const { agent, requester } = kept;
  registry.update(cellId, { ...NOTHING_IN_THE_WAY, pushRefused: null });
  registry.addRun({
    ...{ cellId, agent, requester, role: "executor", turnKind: "fix", state: "waiting" },
    prompt: fixPrompt(failed, { base: cell.baseName, before: beforeOf(cell, registry, agent) }),
  });
  steps.admitWaiting();
  return true;
}
