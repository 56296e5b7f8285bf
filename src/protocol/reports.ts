import type { JOBS, JobKind, JobPayload, QueueName } from "./jobs.ts";

type KindsOf<Q extends QueueName> = {
  [K in JobKind]: (typeof JOBS)[K]["queue"] extends Q ? K : never;
}[JobKind];

/** What control asks of a runner. */
export type RunnerKind = KindsOf<"cells">;
/** What runners say. */
export type ReportKind = KindsOf<"reports">;

/** One thing that a runner says. Said twice under one key, it is heard once. */
export interface Report<K extends ReportKind = ReportKind> {
  readonly kind: K;
  readonly key: string;
  readonly payload: JobPayload<K>;
}
/** Any report: its kind tells the shape of its payload. */
export type AnyReport = { [K in ReportKind]: Report<K> }[ReportKind];

type KeyOf<K extends ReportKind> = (payload: JobPayload<K>, jobKey: string) => string;

const ofRun =
  (suffix: string) =>
  ({ cellId, run }: { readonly cellId: string; readonly run: number }) =>
    `${cellId}:${run}:${suffix}`;
const ofCheck =
  (suffix: string) =>
  ({ cellId, check }: { readonly cellId: string; readonly check: number }) =>
    `${cellId}:check:${check}:${suffix}`;
const ofJob = (suffix: string) => (_: unknown, jobKey: string) => `${jobKey}:${suffix}`;

/**
 * By what each report is known. What several may see, such as the end of a run, bears the run's key; what one
 * job found, that job's.
 */
const KEYS: { readonly [K in ReportKind]: KeyOf<K> } = {
  "run-started": ofRun("started"),
  "setup-started": ofRun("setup-started"),
  "setup-ended": ofRun("setup-ended"),
  "checks-planned": ofJob("planned"),
  "check-started": ofCheck("started"),
  "check-refused": ofCheck("refused"),
  "check-ended": ofCheck("ended"),
  "run-refused": ofRun("refused"),
  "run-ended": ofRun("ended"),
  "over-limit": ({ cellId, run, limit }) =>
    `${cellId}:${run}:${limit === "disk" ? "over-disk" : "over-limit"}`,
  "log-cut": ofRun("log-cut"),
  health: () => crypto.randomUUID(),
  used: () => crypto.randomUUID(),
  collected: ofJob("collected"),
  pushed: ofJob("pushed"),
  "push-refused": ofJob("refused"),
  "spare-made": ofJob("made"),
  sealed: ofJob("sealed"),
  restored: ofJob("restored"),
  "restore-refused": ofJob("refused"),
  "taken-in": ofJob("done"),
  scrubbed: ofJob("scrubbed"),
  tailed: ofJob("tailed"),
};

/** Makes a report. `jobKey`: of the job that it answers; what a watch sees answers none. */
export function reportOf<K extends ReportKind>(kind: K, payload: JobPayload<K>, jobKey = ""): AnyReport {
  const keyOf: KeyOf<K> = KEYS[kind];
  return { kind, key: keyOf(payload, jobKey), payload } as Report<K> as unknown as AnyReport;
}
