import type { AgentBeat, Harvest, PeoplePush } from "../../protocol/shapes.ts";
import type { Cell, Closing, Outcome, RunState, Setup } from "../cell.ts";
import type { ExitClass } from "../exit.ts";

/** What may be written about a cell besides its state, which only `move` writes. */
export interface CellChange {
  readonly outcome?: Outcome | null;
  readonly health?: Cell["health"];
  readonly reason?: string | null;
  readonly waitsForApproval?: boolean;
  readonly cardId?: number | null;
  readonly pullRequest?: number | null;
  readonly pullRequestRepository?: string | null;
  readonly publishedBranch?: string | null;
  readonly publishedTip?: string | null;
  readonly peopleTip?: string | null;
  readonly harvest?: Harvest | null;
  readonly pushRefused?: string | null;
  readonly releasedTip?: string | null;
  readonly releasedBy?: string | null;
  readonly closing?: Closing | null;
  readonly sealedAt?: number | null;
  readonly expiresAt?: number;
  readonly healthReason?: string | null;
  readonly healthSince?: number | null;
  readonly seenAt?: number | null;
  readonly beat?: AgentBeat | null;
  readonly breaker?: string | null;
  readonly ttlWarnedFor?: number | null;
  readonly keepUntil?: number | null;
  readonly setUpWith?: string | null;
}

export interface RunChange {
  readonly state?: RunState;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly stopped?: string | null;
  readonly handle?: Readonly<Record<string, unknown>>;
  readonly logPath?: string;
  readonly collectedAt?: number;
  readonly leftovers?: readonly string[];
  readonly refusedHosts?: readonly string[];
  readonly notBefore?: number | null;
  readonly people?: PeoplePush | null;
  readonly exitClass?: ExitClass | null;
  readonly exitWhy?: string | null;
  readonly resetsAt?: number | null;
  readonly setup?: Setup;
}
