import type { AnyReport, Report, ReportKind } from "../../protocol/reports.ts";
import type { Handler, Handlers } from "../../queue/queue.ts";
import { checkEnded } from "./check-ended.ts";
import { checkRefused } from "./check-refused.ts";
import { checkStarted } from "./check-started.ts";
import { checksPlanned } from "./checks-planned.ts";
import { collected } from "./collected.ts";
import type { ReportDeps } from "./deps.ts";
import { drafted } from "./drafted.ts";
import { health } from "./health.ts";
import { logCut } from "./log-cut.ts";
import { merged, notMerged } from "./merged.ts";
import { overLimit } from "./over-limit.ts";
import { pushRefused } from "./push-refused.ts";
import { pushed } from "./pushed.ts";
import { restoreRefused } from "./restore-refused.ts";
import { restored } from "./restored.ts";
import { runEnded } from "./run-ended.ts";
import { runRefused } from "./run-refused.ts";
import { runStarted } from "./run-started.ts";
import { scrubbed } from "./scrubbed.ts";
import { sealed } from "./sealed.ts";
import { setupEnded } from "./setup-ended.ts";
import { setupStarted } from "./setup-started.ts";
import { spareMade } from "./spare-made.ts";
import { type StuckJob, stuck } from "./stuck.ts";
import { takenIn } from "./taken-in.ts";
import { used } from "./used.ts";

/** What changes a cell; `tailed` answers a person. */
export type CellReportKind = Exclude<ReportKind, "tailed">;
type CellReport = { [K in CellReportKind]: Report<K> }[CellReportKind];

/**
 * What follows from what happened to cells, each as one change of the registry. All join the caller's
 * transaction; one that comes late, or twice, changes nothing.
 */
export interface Reports {
  /** What a runner says. */
  hear(report: CellReport): void;
  /** A draft is open, of this number in this repository. */
  drafted(cellId: string, pullRequest: number, repository: string): void;
  /** The pull request of a closing cell was merged. */
  merged(cellId: string): void;
  /** It cannot be. */
  notMerged(cellId: string, why: string): void;
  /** A job of a cell failed. */
  stuck(job: StuckJob): void;
}

/** For each kind what follows from it: a file of its name. */
const FOLLOWS: {
  readonly [K in CellReportKind]: (deps: ReportDeps) => (payload: Report<K>["payload"]) => void;
} = {
  "run-started": runStarted,
  "setup-started": setupStarted,
  "setup-ended": setupEnded,
  "checks-planned": checksPlanned,
  "check-started": checkStarted,
  "check-refused": checkRefused,
  "check-ended": checkEnded,
  "run-refused": runRefused,
  "run-ended": runEnded,
  "over-limit": overLimit,
  "log-cut": logCut,
  health,
  used,
  collected,
  pushed,
  "push-refused": pushRefused,
  sealed,
  "spare-made": spareMade,
  restored,
  "taken-in": takenIn,
  "restore-refused": restoreRefused,
  scrubbed,
};
const KINDS = Object.keys(FOLLOWS) as CellReportKind[];

export function createReports(deps: ReportDeps): Reports {
  const all = new Map(KINDS.map((kind) => [kind, FOLLOWS[kind](deps) as (payload: unknown) => void]));
  return {
    // The kind picks what follows, and the payload is of that very kind.
    hear: ({ kind, payload }) => all.get(kind)?.(payload),
    drafted: drafted(deps),
    merged: merged(deps),
    notMerged: notMerged(deps),
    stuck: stuck(deps),
  };
}

interface CheckRef {
  readonly cellId: string;
  readonly check: number;
}

/**
 * Handlers of the jobs that are reports. `onStarted` is called with each start, in the same transaction:
 * whoever reported it may have been killed since, and then nobody watches the run.
 */
export function createReportHandlers(
  reports: Pick<Reports, "hear">,
  onStarted: (what: { readonly cellId: string; readonly run: number } | CheckRef) => void,
): Handlers {
  const handler: Handler<CellReportKind> = async ({ kind, key, payload }) => {
    const report = { kind, key, payload } as AnyReport & CellReport;
    return () => {
      reports.hear(report);
      const { kind } = report;
      if (kind === "run-started" || kind === "setup-started" || kind === "check-started")
        onStarted(report.payload);
    };
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, handler]));
}
