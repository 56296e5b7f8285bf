import { JOBS } from "../protocol/jobs.ts";
import { type AnyReport, type ReportKind, reportOf } from "../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../protocol/runner-port.ts";
import { subjectOf } from "../protocol/subject.ts";
import { inOurTime } from "./clock-skew.ts";

type Said = Readonly<Record<string, unknown>>;

/** What a job of each kind may report: anything else is another job's. */
const OF_JOBS: { readonly [K in RunnerJob["kind"]]: readonly ReportKind[] } = {
  start: ["run-started", "setup-started", "run-refused", "run-ended"],
  stop: ["run-ended", "setup-ended"],
  collect: ["collected"],
  push: ["pushed", "push-refused"],
  "plan-checks": ["checks-planned"],
  check: ["check-started", "check-refused"],
  "end-check": ["check-ended"],
  mark: [],
  tail: ["tailed"],
  "delete-branch": [],
  spare: ["spare-made"],
  seal: ["sealed"],
  store: [],
  restore: ["restored", "restore-refused"],
  "let-go": [],
  "take-in": ["taken-in"],
  prune: [],
  scrub: ["scrubbed"],
};

interface Believing {
  readonly isOurs: (cellId: string) => boolean;
  /** Its clock less ours. */
  readonly skewMs: number;
}

/** What a runner sees by itself. */
const UNASKED: readonly ReportKind[] = [
  ...(["run-ended", "setup-ended", "check-ended", "over-limit", "log-cut", "health", "used"] as const),
];

/**
 * What came of a job, as far as it can be so: reports of this job's own cell and kinds, under the keys that
 * such reports have. A runner may lie about its own cells, and about nothing else.
 */
export function readOutcome(
  job: RunnerJob,
  said: readonly Said[],
  { isOurs, skewMs }: Believing,
): { readonly outcome: Outcome } | { readonly refused: string } {
  const reports: AnyReport[] = [];
  const about = subjectOf(job.payload).cellId;
  for (const one of said) {
    const read = readReport(one, OF_JOBS[job.kind], { jobKey: job.key, skewMs });
    if ("refused" in read) return read;
    const { cellId } = read.report.payload;
    if (cellId !== about || !isOurs(cellId))
      return { refused: `reports of the cell ${cellId}, which this job is not about` };
    reports.push(read.report);
  }
  return { outcome: { reports } };
}

/** The same for what it says by itself; what cannot be so is left out, and named. */
export function readReports(
  said: readonly Said[],
  { isOurs, skewMs }: Believing,
): { readonly reports: AnyReport[]; readonly refused: string[] } {
  const [reports, refused]: [AnyReport[], string[]] = [[], []];
  for (const one of said) {
    const read = readReport(one, UNASKED, { jobKey: "", skewMs });
    if ("refused" in read) refused.push(read.refused);
    else if (!isOurs(read.report.payload.cellId))
      refused.push(`the cell ${read.report.payload.cellId} is not its own`);
    else reports.push(read.report);
  }
  return { reports, refused };
}

function readReport(
  { kind, payload }: Said,
  kinds: readonly ReportKind[],
  { jobKey, skewMs }: { readonly jobKey: string; readonly skewMs: number },
): { readonly report: AnyReport } | { readonly refused: string } {
  const known = kinds.find((one) => one === kind);
  if (known === undefined)
    return { refused: `reports ${String(kind).slice(0, 40)}, which is not for it to say here` };
  const parsed = JOBS[known].payload.safeParse(inOurTime(payload, skewMs));
  if (!parsed.success) return { refused: `reports ${known} in a shape that this version does not know` };
  return { report: reportOf(known, parsed.data as never, jobKey) };
}
