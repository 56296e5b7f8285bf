import type { DirectoriesSeen } from "./directories-seen.ts";
import type { JobPayload } from "./jobs.ts";
import type { AnyReport, RunnerKind } from "./reports.ts";
import type { AgentBeat, CellSpec, GivenSecret, SetupBegun } from "./shapes.ts";

/** What a runner is asked to do, as it gets it: a row of the job log, without what only control needs. */
export interface RunnerJob<K extends RunnerKind = RunnerKind> {
  readonly id: string;
  readonly kind: K;
  readonly key: string;
  readonly payload: JobPayload<K>;
  /** 1 on the first try. From 2 on an earlier one may have left a child at work. */
  readonly attempt: number;
  /** Of one lane one job runs at a time. */
  readonly lane?: string;
  /** A runner was killed at it before: it is begun where nothing else is at work, if possible. */
  readonly isSuspect?: boolean;
}

/** What came of a job: data alone, which control writes down in the transaction that ends the job. */
export interface Outcome {
  readonly reports: readonly AnyReport[];
}

/** A run that an earlier process started, or that has just been reported: to be watched from now on. */
export interface WatchedRun {
  readonly cellId: string;
  readonly run: number;
  readonly agent: string;
  readonly handle: Readonly<Record<string, unknown>>;
  /** Epoch ms. */
  readonly startedAt: number;
  /** How it was when somebody looked at it last; null: nobody did. */
  readonly before: HealthBefore | null;
}

/** How a run was when an earlier process looked at it last; times are epoch ms. */
export interface HealthBefore {
  readonly health: JobPayload<"health">["health"];
  readonly since: number;
  readonly beat: AgentBeat | null;
}

/** The same for the setup of a cell: the run it is for starts when it has ended well. */
export interface WatchedSetup {
  readonly cell: Pick<CellSpec, "id" | "repository" | "user">;
  readonly run: number;
  /** Whose run it is, and so whose isolation the setup has. */
  readonly agent: string;
  readonly setup: Omit<SetupBegun, "handle">;
  readonly handle: Readonly<Record<string, unknown>>;
}

/** The same for a check of what a cell pushed. */
export interface WatchedCheck {
  readonly cell: Pick<CellSpec, "id" | "repository" | "user">;
  readonly check: number;
  readonly agent: string;
  readonly name: string;
  readonly command: string;
  readonly network: SetupBegun["network"];
  readonly limitMs: number;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly handle: Readonly<Record<string, unknown>>;
}

export interface Watched {
  readonly runs: readonly WatchedRun[];
  readonly setups: readonly WatchedSetup[];
  readonly checks: readonly WatchedCheck[];
}

export interface LogHow {
  readonly maxBytes: number;
  readonly secrets: readonly GivenSecret[];
}

export interface LogEnd {
  readonly text: string;
  readonly cut: boolean;
}

/** What an agent says of itself in a heartbeat. */
export type HeartbeatWords = Pick<AgentBeat, "state" | "message" | "progress">;

/**
 * The side that touches directories, processes and git, as control sees it. It knows neither registry nor
 * forge API. Everything that crosses is data: a runner may lie on another host.
 *
 * What a runner sees by itself, such as the end of a run, it says by reports, which control takes from the
 * function that the runner was made with.
 */
export interface RunnerPort {
  /** Whose cells are meant: `cells.runner`. */
  readonly name: string;
  /**
   * Does one job. A job that is done again, since nobody heard what came of it, comes to the same.
   * @throws LazarusError, retryable where another attempt may help; the signal's reason when it was aborted.
   */
  do(job: RunnerJob, signal: AbortSignal): Promise<Outcome>;
  /** Watches these runs, setups and checks from now on; what is watched already is left alone. */
  adopt(watched: Watched): void;
  /**
   * Before anything else, once: removes what an earlier process left half-made or half-deleted of cells that
   * are not known.
   */
  sweep(knownIds: readonly string[]): Promise<void>;
  /**
   * What lies under the missions root. `isExpected`: some cell should have a directory, so that a missing
   * root is an error.
   */
  inventory(how: { readonly isExpected: boolean }): Promise<DirectoriesSeen>;
  /**
   * The end of a log of a cell, `allegro-1.log`, redacted, as plain text: at most `maxBytes`. `cut`: there
   * is more before it. Empty where there is none. Where one of the `secrets` that its agents were given
   * cannot be looked for there, it is that in words.
   */
  readLog(cellId: string, log: string, how: LogHow): Promise<LogEnd>;
  /** Takes a heartbeat of a cell's agent; false where no run of it is at work here. */
  hear(cellId: string, words: HeartbeatWords): Promise<boolean>;
  /** Watches nothing any more. Agents go on. */
  close(): Promise<void>;
}

/** A job of which nothing is to be said. */
export const NOTHING_TO_SAY: Outcome = { reports: [] };

/** By what a thing that is watched is known, on both sides. */
export function watchedKeys({ runs, setups, checks }: Watched): string[] {
  return [
    ...runs.map((one) => `${one.cellId}:${one.run}`),
    ...setups.map((one) => `${one.cell.id}:setup:${one.run}`),
    ...checks.map((one) => `${one.cell.id}:check:${one.check}`),
  ];
}

/** What of it is not among these keys. */
export function notWatched({ runs, setups, checks }: Watched, known: ReadonlySet<string>): Watched {
  return {
    runs: runs.filter((one) => !known.has(`${one.cellId}:${one.run}`)),
    setups: setups.filter((one) => !known.has(`${one.cell.id}:setup:${one.run}`)),
    checks: checks.filter((one) => !known.has(`${one.cell.id}:check:${one.check}`)),
  };
}
