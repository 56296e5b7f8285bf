import { explain } from "../errors.ts";
import type { Handlers } from "../queue/queue.ts";
import { createParts, type Parts, parseHandle, type RunnerDeps } from "./context.ts";
import type { BeatWords } from "./health/heartbeat.ts";
import type { Running } from "./health/watch.ts";
import { collectRun } from "./jobs/collect.ts";
import { deleteBranchOf } from "./jobs/delete-branch.ts";
import { mark } from "./jobs/mark.ts";
import { prune } from "./jobs/prune.ts";
import { push } from "./jobs/push.ts";
import { restore } from "./jobs/restore.ts";
import { scrub } from "./jobs/scrub.ts";
import { seal } from "./jobs/seal.ts";
import { start } from "./jobs/start.ts";
import { stop } from "./jobs/stop.ts";
import { tail } from "./jobs/tail.ts";
import { takeIn } from "./jobs/take-in.ts";
import type { SettingUp } from "./setup/setup-watch.ts";
import { setupGate } from "./setup/start-setup.ts";
import { sweep } from "./sweep.ts";

export type { RunnerDeps } from "./context.ts";
export type { Running } from "./health/watch.ts";

type CellJobs =
  | "start"
  | "stop"
  | "collect"
  | "push"
  | "mark"
  | "tail"
  | "delete-branch"
  | "seal"
  | "restore"
  | "take-in"
  | "prune"
  | "scrub";

/** The side that touches directories, processes and git; it knows neither registry nor forge API, and says what happened by reports. */
export interface Runner {
  readonly handlers: Required<Pick<Handlers, CellJobs>>;
  /** Adopts runs that an earlier process started; each start adds its own, and what is watched already is left alone. Handles come from the registry. */
  watch(runs: readonly (Omit<Running, "handle"> & { readonly handle: Record<string, unknown> })[]): void;
  /** The same for setups: what they are for starts when they have ended well. */
  watchSetups(
    all: readonly (Omit<SettingUp, "handle"> & { readonly handle: Record<string, unknown> })[],
  ): void;
  /** Takes a heartbeat of a cell's agent; false where no run of it is at work here. */
  hear(cellId: string, words: BeatWords): boolean;
  /** Before anything else, once: removes what an earlier process left half-made or half-deleted, and quarantines of cells that are not known. */
  sweep(knownIds: readonly string[]): Promise<void>;
  /** Stops watching. Agents go on. */
  close(): Promise<void>;
}

/** A runner on this host. Exactly one program may use `dataDir` and `missionsDir`. */
export function createRunner(deps: RunnerDeps): Runner {
  const parts = createParts(deps);
  return {
    handlers: {
      start: (job, context) => start(parts, job, context),
      stop: (job) => stop(parts, job),
      collect: (job) => collectRun(parts, job),
      push: (job, context) => push(parts, job, context),
      mark: (job) => mark(parts, job),
      tail: (job) => tail(parts, job),
      "delete-branch": (job, context) => deleteBranchOf(parts, job, context),
      seal: (job, context) => seal(parts, job, context),
      restore: (job, context) => restore(parts, job, context),
      "take-in": (job, context) => takeIn(parts, job, context),
      prune: (job) => prune(parts, job),
      scrub: (job) => scrub(parts, job),
    },
    watch(runs) {
      for (const run of runs) {
        if (parts.watch.find(run.cellId)?.run === run.run) continue;
        const handle = parseHandle({ ...run.handle });
        if (handle === null) continue;
        parts.watch.add({ ...run, handle });
        const agent = parts.config.agents.get(run.agent);
        if (agent !== undefined) openAgain(parts, run.cellId, agent);
      }
    },
    watchSetups(all) {
      for (const one of all) {
        if (parts.setups.find(one.cell.id)?.run === one.run) continue;
        const handle = parseHandle({ ...one.handle });
        if (handle === null) continue;
        parts.setups.add({ ...one, handle });
        openAgain(parts, one.cell.id, setupGate(handle, one.setup));
      }
    },
    hear: (cellId, words) => parts.watch.hear(cellId, words),
    sweep: (knownIds) => sweep(parts, knownIds),
    async close() {
      await parts.watch.close();
      await parts.setups.close();
      await parts.gates.closeAll();
    },
  };
}

/** An agent that outlived us finds its way out again. */
function openAgain(parts: Parts, cellId: string, agent: Parameters<Parts["gates"]["open"]>[1]): void {
  parts.gates.open(cellId, agent).catch((error: unknown) => {
    parts.log.warn(
      { cell: cellId, why: explain(error) },
      "the way to listed hosts could not be opened again",
    );
  });
}
