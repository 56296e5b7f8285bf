import type { Backend, BackendName, Handle } from "../../backends/backend.ts";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { JobKind } from "../../protocol/jobs.ts";
import type { NewJob } from "../../queue/queue.ts";
import type { Before } from "./pulse.ts";

/** Puts what a runner has to say. */
export type Report = <K extends JobKind>(job: NewJob<K>) => void;

/** A run to keep an eye on. */
export interface Running {
  readonly cellId: string;
  readonly run: number;
  readonly agent: string;
  readonly handle: Handle;
  /** Epoch ms. */
  readonly startedAt: number;
  /** How it was when an earlier process looked at it last; none where it has just been started. */
  readonly before?: Before | null;
}

/** What the configuration says of an agent's runs. */
export interface RunLimits {
  readonly runMs: number;
  readonly logBytes: number;
  readonly quietMs: number;
  readonly stalledMs: number;
  readonly healthUrl: string | null;
}

/** What the watch works with. */
export interface WatchDeps {
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  readonly cellDir: (cellId: string) => string;
  readonly limitsOf: (agent: string) => RunLimits;
  readonly graceMs: number;
  readonly scanMs: number;
  /** Of one cell: what its agents may fill. */
  readonly diskBytes: number;
  /** Closes the way to listed hosts, and answers what was refused. */
  readonly closeGate: (cellId: string) => Promise<string[]>;
  readonly redact: (text: string) => string;
  readonly report: Report;
}
