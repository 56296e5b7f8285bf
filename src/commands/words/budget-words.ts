import {
  amountOf,
  type Budget,
  budgetOfCell,
  budgetOfRun,
  type Rest,
  restOf,
  type Spent,
  usageOf,
} from "../../cells/budget.ts";
import { type Cell, type Run, shortId } from "../../cells/cell.ts";
import { quietIn } from "../../cells/quiet.ts";
import { MOST_UNASKED } from "../../cells/registry/unasked.ts";
import { type Markdown, md } from "../../gitea/markdown.ts";
import { formatCost, formatNumber } from "../../units.ts";
import type { Deps } from "../command.ts";
import { moment } from "./run-words.ts";
import { asTyped, c, type Sentence, say } from "./sentence.ts";

type BudgetDeps = Pick<Deps, "registry" | "config">;

/** `1.80 of 5 USD`, `120,000 of 200,000 tokens`. */
function spentOf(kind: "cost" | "tokens", { used, most }: Spent): string {
  const so = used ?? 0;
  return `${kind === "cost" ? formatCost(so).replace(/ USD$/, "") : formatNumber(so)} of ${amountOf(kind, most)}`;
}

function wordsOf({ cost, tokens }: Budget): string[] {
  return [
    ...(cost === null ? [] : [spentOf("cost", cost)]),
    ...(tokens === null ? [] : [spentOf("tokens", tokens)]),
  ];
}

/**
 * What of its budgets a cell and its last run have used, where there are any; and that its agent does not
 * tell.
 */
export function budgetWords(cell: Cell, run: Run | null, { registry, config }: BudgetDeps): string[] {
  const runs = registry.runs(cell.id);
  const ofCell = budgetOfCell(cell, runs, config);
  const ofRun: Budget = run === null ? { cost: null, tokens: null } : budgetOfRun(run, config);
  const untold = run?.collectedAt == null ? null : untoldBy(run, ofCell, ofRun);
  const known = (budget: Budget) => wordsOf(untold === null ? budget : toldOnly(budget));
  return [
    ...known(ofCell),
    ...known(ofRun).map((words) => `${words} in this run`),
    ...(untold === null ? [] : [untold]),
  ];
}

function toldOnly({ cost, tokens }: Budget): Budget {
  return { cost: cost?.used == null ? null : cost, tokens: tokens?.used == null ? null : tokens };
}

function untoldBy(run: Run, ofCell: Budget, ofRun: Budget): string | null {
  const misses = (kind: "cost" | "tokens", used: number | null) =>
    used === null && (ofCell[kind] !== null || ofRun[kind] !== null);
  const missing = [
    ...(misses("cost", run.costUsd) ? ["cost"] : []),
    ...(misses("tokens", run.tokens) ? ["tokens"] : []),
  ];
  if (missing.length === 0) return null;
  const isAll = run.costUsd === null && run.tokens === null;
  return `${isAll ? "usage" : missing.join(" and ")}: not told by this agent`;
}

/** What was used in a cell, against its budget where it has one; empty where nobody told. */
export function usageLine(cell: Cell, run: Run | null, deps: BudgetDeps): string {
  const used = usageOf(deps.registry.runs(cell.id));
  const budgets = budgetWords(cell, run, deps);
  if (budgets.length > 0) return budgets.join(", ");
  const cost = used.costUsd === null ? [] : [formatCost(used.costUsd)];
  return [...cost, ...(used.tokens === null ? [] : [amountOf("tokens", used.tokens)])].join(", ");
}

/** `it has used 5.02 of 5 USD`, `it has had all of its 20 turns`. */
export function restWords(rest: Rest): string {
  if (rest.kind === "turns") return `it has had all of its ${rest.most} turns`;
  return `it has used ${spentOf(rest.kind, rest)}`;
}

/** What a director types to let a cell go on. */
export function wakingCommand(cell: Pick<Cell, "id">, rest: Rest): string {
  const id = shortId(cell.id);
  if (rest.kind === "turns") return `revive ${id}`;
  const amount = rest.kind === "cost" ? Math.max(1, Math.round(rest.most)) : rest.most;
  return `extend ${id} --${rest.kind} ${amount}`;
}

/** Why nothing starts in a cell, and what lets it; null where it may. */
export function restLine(cell: Cell, deps: BudgetDeps): Sentence | null {
  const rest = restOf(cell, deps);
  if (rest === null || !["proposed", "active", "idle"].includes(cell.state)) return null;
  return say`${capital(restWords(rest))}. Nothing more starts here until a director types ${asTyped(wakingCommand(cell, rest))}.`;
}

/** Refuses a run of a cell that rests. */
export function restRefusal(cell: Cell, rest: Rest): Sentence {
  return say`Cell ${c(shortId(cell.id))} rests: ${restWords(rest)}. A director lets it go on with ${asTyped(wakingCommand(cell, rest))}.`;
}

interface Quiet {
  readonly since: string;
  readonly why: string;
}

function quietOf(cell: Cell, registry: Deps["registry"]): Quiet | null {
  const quiet = cell.state === "destroyed" ? null : quietIn(cell, registry);
  if (quiet === null) return null;
  const where = quiet.number === cell.number ? "here" : "on its pull request";
  return {
    since: moment(quiet.since),
    why: `I wrote more than ${MOST_UNASKED} comments within 10 minutes ${where} that nobody with write permission asked for. Until a director types a command here or on its pull request, nothing starts by itself, and only people with that permission are answered in words.`,
  };
}

/** Why the bot is quiet where a cell is, and what ends that; null where it is not. */
export function quietLine(cell: Cell, registry: Deps["registry"]): Sentence | null {
  const quiet = quietOf(cell, registry);
  return quiet === null ? null : say`Quiet since ${quiet.since}: ${quiet.why}`;
}

/** The same for the first line of a card. */
export function quietHead(cell: Cell, registry: Deps["registry"]): Markdown | null {
  const quiet = quietOf(cell, registry);
  return quiet === null ? null : md`**quiet since ${quiet.since}**: ${quiet.why}`;
}

/** Why nothing starts by itself in a cell, for programs; null where it may. */
export function holdText(cell: Cell, deps: BudgetDeps): string | null {
  return cell.breaker ?? restLine(cell, deps)?.text ?? quietLine(cell, deps.registry)?.text ?? null;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
