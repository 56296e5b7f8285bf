import type { Config } from "../config/config.ts";
import type { Usage } from "../protocol/usage.ts";
import { formatBudget, formatNumber } from "../units.ts";
import type { Cell, Run } from "./cell.ts";
import type { Registry } from "./registry/registry.ts";
import { turnsOf } from "./turns.ts";

/** What was used of what may be; `used` is null where no agent told it. */
export interface Spent {
  readonly used: number | null;
  readonly most: number;
}

/** Null: there is no such limit. */
export interface Budget {
  readonly cost: Spent | null;
  readonly tokens: Spent | null;
}

export type BudgetConfig = Pick<Config, "agents"> & {
  readonly limits: Pick<Config["limits"], "costUsd" | "tokens" | "turns">;
};

/** What the runs of a cell have used together; null: none of them told. Pure. */
export function usageOf(runs: readonly Pick<Run, "costUsd" | "tokens">[]): Usage {
  const sum = (counts: readonly (number | null)[]) =>
    counts.reduce((all, one) => (one === null ? all : (all ?? 0) + one), null);
  return { costUsd: sum(runs.map((run) => run.costUsd)), tokens: sum(runs.map((run) => run.tokens)) };
}

/** What a cell may use, as it stands now. Pure. */
export function budgetOfCell(
  cell: Pick<Cell, "moreUsd" | "moreTokens">,
  runs: readonly Pick<Run, "costUsd" | "tokens">[],
  { limits }: Pick<BudgetConfig, "limits">,
): Budget {
  const used = usageOf(runs);
  return {
    cost: limits.costUsd === 0 ? null : { used: used.costUsd, most: limits.costUsd + cell.moreUsd },
    tokens: limits.tokens === 0 ? null : { used: used.tokens, most: limits.tokens + cell.moreTokens },
  };
}

/** The same of one run, by the limits of its agent. Pure. */
export function budgetOfRun(
  run: Pick<Run, "agent" | "costUsd" | "tokens" | "moreUsd" | "moreTokens">,
  { agents }: Pick<BudgetConfig, "agents">,
): Budget {
  const { costUsd = 0, tokens = 0 } = agents.get(run.agent)?.limits ?? {};
  return {
    cost: costUsd === 0 ? null : { used: run.costUsd, most: costUsd + run.moreUsd },
    tokens: tokens === 0 ? null : { used: run.tokens, most: tokens + run.moreTokens },
  };
}

/** Why nothing starts in a cell any more, until a director lets it. */
export type Rest =
  | { readonly kind: "cost" | "tokens"; readonly used: number; readonly most: number }
  | { readonly kind: "turns"; readonly most: number };

/** Which of its budgets is used up; null: none. Pure. */
export function usedUp({ cost, tokens }: Budget): Exclude<Rest, { kind: "turns" }> | null {
  if (cost !== null && cost.used !== null && cost.used >= cost.most)
    return { kind: "cost", used: cost.used, most: cost.most };
  if (tokens !== null && tokens.used !== null && tokens.used >= tokens.most)
    return { kind: "tokens", used: tokens.used, most: tokens.most };
  return null;
}

/** Why nothing starts in a cell, by itself or because somebody without the right to let it asks. */
export function restOf(
  cell: Pick<Cell, "id" | "moreUsd" | "moreTokens" | "turnsFrom">,
  { registry, config }: { readonly registry: Pick<Registry, "runs">; readonly config: BudgetConfig },
): Rest | null {
  const runs = registry.runs(cell.id);
  const most = config.limits.turns;
  const count = turnsOf(runs).filter((turn) => turn.n > cell.turnsFrom && turn.state !== "withdrawn").length;
  return (
    usedUp(budgetOfCell(cell, runs, config)) ?? (most > 0 && count >= most ? { kind: "turns", most } : null)
  );
}

/** From which turn on they count where a director lets a cell go on now. */
export function turnsFromNow(cell: Cell, deps: Parameters<typeof restOf>[1]): number {
  if (restOf(cell, deps)?.kind !== "turns") return cell.turnsFrom;
  return Math.max(0, ...deps.registry.runs(cell.id).map((run) => run.turn));
}

/** What a run that begins now may cost at most; null: there is no limit. */
export function budgetLeft(
  run: Run,
  {
    registry,
    config,
  }: { readonly registry: Pick<Registry, "runs" | "mustCell">; readonly config: BudgetConfig },
): number | null {
  const { cost } = budgetOfCell(registry.mustCell(run.cellId), registry.runs(run.cellId), config);
  const own = budgetOfRun(run, config).cost;
  const left = [cost, own].flatMap((one) => (one === null ? [] : [one.most - (one.used ?? 0)]));
  // Who has none left would not begin.
  return left.length === 0 ? null : Math.max(0.01, Math.min(...left));
}

/** `5 USD`, `200,000 tokens`. */
export function amountOf(kind: "cost" | "tokens", amount: number): string {
  return kind === "cost" ? formatBudget(amount) : `${formatNumber(amount)} tokens`;
}
