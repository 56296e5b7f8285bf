import type { Cell, Role, Run } from "../cells/cell.ts";
import { isVisit } from "../cells/cell.ts";
import { toIso } from "../clock.ts";
import { holdText } from "../commands/words/budget-words.ts";
import { type CellView, viewOf } from "../commands/words/cell-view.ts";
import { endOfRun } from "../commands/words/run-words.ts";
import { viewOfJob } from "../queue/job-view.ts";
import { type DashboardDeps, type Data, isEnough } from "./deps.ts";
import type { SeenJob } from "./read-jobs.ts";

/** A moment as programs read it. */
export function iso(at: number | null): string | null {
  return at === null ? null : toIso(at);
}

/** A cell as `status --json` has it; observers get what pages and cards show them, and nothing of logs. */
export function cellData(cell: Cell, role: Role | null, d: DashboardDeps): CellView {
  const view = viewOf(cell, d, holdText(cell, d));
  if (isEnough(role, "executor")) return view;
  return {
    ...view,
    ...{ reason: cell.reason, health_reason: null, said: null, refused_hosts: [], setup: null },
    checks: view.checks.map((check) => ({ ...check, why: null })),
    messages: view.messages.map((message) => ({ ...message, why: null })),
  };
}

export function runData(run: Run): Data {
  return {
    ...{ n: run.n, agent: run.agent, state: run.state, exit: run.exitClass },
    ...{ is_visit: isVisit(run), is_automatic: run.isAutomatic, requested_by: run.requester.login },
    ...{ created_at: toIso(run.createdAt), started_at: iso(run.startedAt), ended_at: iso(run.endedAt) },
    how_it_ended: run.state === "ended" ? endOfRun(run) : null,
  };
}

export function jobData({ cellId, ...job }: SeenJob): Data {
  return { ...viewOfJob(job), cell: cellId };
}

/** The same with secrets hidden in every text; names are our own. */
export function withoutSecrets(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return redact(value);
  if (Array.isArray(value)) return value.map((one) => withoutSecrets(one, redact));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutSecrets(one, redact)]));
}
