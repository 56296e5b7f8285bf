import type { Backend, BackendName, Handle } from "../../backends/backend.ts";
import type { CellGroups } from "../../backends/os/groups/cell-groups.ts";
import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { PresetName } from "../../preset-names.ts";
import type { AnyReport } from "../../protocol/reports.ts";
import type { HealthBefore } from "../../protocol/runner-port.ts";

/** Says what a runner sees by itself. */
export type Say = (report: AnyReport) => void;

/** A run to keep an eye on. */
export interface WatchedRun {
  readonly cellId: string;
  readonly run: number;
  readonly agent: string;
  readonly handle: Handle;
  /** Epoch ms. */
  readonly startedAt: number;
  /** How it was when an earlier process looked at it last; null where it has just been started. */
  readonly before: HealthBefore | null;
}

/** What the configuration says of an agent's runs. */
export interface RunLimits {
  readonly runMs: number;
  readonly logBytes: number;
  readonly quietMs: number;
  readonly stalledMs: number;
  readonly healthUrl: string | null;
  /** Where it keeps what it uses; null: no agent that is known. */
  readonly preset: PresetName | null;
}

/** What the watch works with. */
export interface WatchDeps {
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  readonly groups: Pick<CellGroups, "remove">;
  readonly cellDir: (cellId: string) => string;
  readonly limitsOf: (agent: string) => RunLimits;
  readonly graceMs: number;
  readonly scanMs: number;
  /** Of one cell: what its agents may fill. */
  readonly diskBytes: number;
  /** Closes the way to listed hosts, and answers what was refused. */
  readonly closeGate: (cellId: string) => Promise<string[]>;
  readonly redact: (text: string) => string;
  readonly report: Say;
}
