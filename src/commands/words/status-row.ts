import type { Rest } from "../../cells/budget.ts";
import { type Cell, isBeingSetUp, isResting, type Run, shortId, targetOf } from "../../cells/cell.ts";
import { type CheckResult, isAtWork } from "../../cells/check.ts";
import type { ExitClass } from "../../cells/exit.ts";
import { shortCommand } from "../../cells/setup.ts";
import { heldFor, isRetryInLine } from "../../cells/steps/decide.ts";
import { checksResult } from "./check-words.ts";
import { briefly, healthOf } from "./health-words.ts";
import { timeUtc } from "./run-words.ts";
import { onOneTerminalLine } from "./sentence.ts";
import { failedSetup } from "./setup-words.ts";
import type { TeamView } from "./team-words.ts";

export const COLUMNS = ["CELL", "STATE", "AGENT", "TARGET", "HEALTH", "AGE", "RESULT"] as const;

/** The same cell as a row for people, in the columns of `COLUMNS`. */
export function rowOf(
  cell: Cell,
  last: Run | null,
  {
    now,
    team,
    checks = [],
    rest = null,
  }: {
    readonly now: number;
    readonly team: TeamView;
    readonly checks?: readonly CheckResult[];
    readonly rest?: Rest | null;
  },
): string[] {
  return [
    shortId(cell.id),
    cell.state,
    whoWorks(last?.agent ?? cell.agent, team),
    targetOf(cell),
    healthWords(cell, now),
    age(now - cell.createdAt),
    cut(
      onOneTerminalLine(
        setupResult(last) ?? checkResult(cell, last, checks) ?? resultOf(cell, last, { now, rest }),
      ),
    ),
  ];
}

/** `ezra 2/3`: the second of a team of three; of one that works alone only its name. */
function whoWorks(agent: string, { agents }: TeamView): string {
  const at = agents.indexOf(agent);
  return agents.length < 2 || at < 0 ? agent : `${agent} ${at + 1}/${agents.length}`;
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

/** Of a cell whose work is being checked, or has failed that. */
function checkResult(cell: Cell, last: Run | null, checks: readonly CheckResult[]): string | null {
  if (cell.state === "active" && isResting(cell, last))
    return `checking: ${(checks.find((one) => one.state === "running") ?? checks.find(isAtWork))?.name ?? "its base"}`;
  const isLast = cell.state === "idle" && cell.checked?.tip === cell.publishedTip && last?.state === "ended";
  const result = isLast ? checksResult(cell, checks) : null;
  if (result === null) return null;
  return cell.pullRequest === null ? result : `draft #${cell.pullRequest}, ${result}`;
}

interface At {
  readonly now: number;
  readonly rest: Rest | null;
}

/** What came of it, and what it waits for: what a person must see to comes first. */
function resultOf(cell: Cell, last: Run | null, at: At): string {
  const draft = cell.pullRequest === null ? "" : `, draft #${cell.pullRequest}`;
  const waits = cell.state === "idle" ? idleResult(cell, last, at) : null;
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
function idleResult(cell: Cell, last: Run | null, { now, rest }: At): string | null {
  if (last !== null && isRetryInLine(last)) {
    if (last.notBefore === null || last.notBefore <= now) return "waits to go on";
    return `waits for a retry at ${timeUtc(last.notBefore, now)}`;
  }
  if (heldFor(cell).length > 0) return "held back";
  if (cell.pushRefused !== null) return "push refused";
  if (last?.state === "ended" && last.startedAt === null) return `not started: ${last.stopped ?? "refused"}`;
  const need = last?.state === "ended" && last.exitClass !== null ? NEEDS[last.exitClass] : undefined;
  if (need === undefined && rest !== null) return rest.kind === "turns" ? "turns used up" : "budget used up";
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
