import type { Reports } from "./cells/reports/reports.ts";
import type { Deps } from "./commands/command.ts";
import { commandDied, tailDied } from "./commands/dispatch.ts";
import { explainToPeople, LazarusError } from "./errors.ts";
import type { Reach } from "./gitea/reach.ts";
import type { JobKind } from "./protocol/jobs.ts";
import { subjectOf } from "./protocol/subject.ts";
import type { Job, WorkOptions } from "./queue/queue.ts";

interface TellDeps extends Pick<Deps, "registry"> {
  readonly reports: Pick<Reports, "stuck">;
}

/**
 * What is told when a job fails: on the card where it is a cell's, to whoever typed it where it is a command.
 */
export function failures(
  deps: Parameters<typeof commandDied>[2] & TellDeps & { readonly reach: Pick<Reach, "isAway"> },
): WorkOptions {
  const said = (error: unknown) => deps.redact(explainToPeople(error));
  return {
    async isOutage(job, error) {
      // Somebody waits at a terminal or a page: better an error soon than a command that runs tomorrow.
      if (job.kind === "command" && (job as Job<"command">).payload.asker.via !== "forge") return false;
      const needsForge = error instanceof LazarusError && error.code === "forge-unreachable";
      return needsForge && (await deps.reach.isAway());
    },
    onDead(job, error) {
      if (job.kind === "command") commandDied(job as Job<"command">, error, deps);
      else if (job.kind === "tail") tailDied(job as Job<"tail">, error, deps);
      else tellCell(job, { why: said(error), retryAt: null }, deps);
    },
    onRetry(job, error, retryAt) {
      if (job.attempt >= 2) tellCell(job, { why: said(error), retryAt }, deps);
    },
  };
}

const OF_A_CELL: ReadonlySet<JobKind> = new Set([
  "admit",
  "start",
  "stop",
  "collect",
  "publish",
  "push",
  "seal",
  "store",
  "restore",
  "take-in",
  "prune",
  "scrub",
  "draft",
  "plan-checks",
  "check",
  "end-check",
]);

function tellCell(job: Job<JobKind>, what: { why: string; retryAt: number | null }, deps: TellDeps): void {
  if (!OF_A_CELL.has(job.kind)) return;
  const { cellId, run, check } = subjectOf(job.payload);
  if (cellId === null || deps.registry.cell(cellId) === null) return;
  deps.reports.stuck({ cellId, kind: job.kind, run, check, ...what });
}
