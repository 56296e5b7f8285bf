import { explain, LazarusError } from "../errors.ts";
import type { RunnerKind } from "../protocol/reports.ts";
import type { Outcome, RunnerJob, RunnerPort, WatchedRun, WatchedSetup } from "../protocol/runner-port.ts";
import { createParts, type Parts, parseHandle, type RunnerDeps } from "./context.ts";
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
import { createInventory } from "./pit/inventory.ts";
import { setupGate } from "./setup/start-setup.ts";
import { sweep } from "./sweep.ts";

export type { RunnerDeps } from "./context.ts";

type Act<K extends RunnerKind> = (parts: Parts, job: RunnerJob<K>, signal: AbortSignal) => Promise<Outcome>;

/** What is done for each kind of job: a file in `jobs/` of its name. */
const ACTS: { readonly [K in RunnerKind]: Act<K> } = {
  start,
  stop,
  collect: collectRun,
  push,
  mark,
  tail,
  "delete-branch": deleteBranchOf,
  seal,
  restore,
  "take-in": takeIn,
  prune,
  scrub,
};

/** A runner on this host. Exactly one program may use `dataDir` and `missionsDir`. */
export function createRunner(deps: RunnerDeps): RunnerPort {
  const parts = createParts(deps);
  const inventory = createInventory(deps);
  return {
    name: deps.name,
    async do(job, signal) {
      // The kind picks the act, and the payload is of that very kind.
      const act = ACTS[job.kind] as Act<RunnerKind> | undefined;
      if (act === undefined)
        throw new LazarusError(
          "internal",
          `this runner does not know jobs of the kind ${job.kind}: upgrade it`,
        );
      return act(parts, job, signal);
    },
    adopt({ runs, setups }) {
      for (const run of runs) watchRun(parts, run);
      for (const setup of setups) watchSetup(parts, setup);
    },
    sweep: (knownIds) => sweep(parts, knownIds),
    inventory: (how) => inventory.look(how),
    hear: async (cellId, words) => parts.watch.hear(cellId, words),
    async close() {
      await inventory.stop();
      await parts.watch.close();
      await parts.setups.close();
      await parts.gates.closeAll();
    },
  };
}

function watchRun(parts: Parts, run: WatchedRun): void {
  if (parts.watch.find(run.cellId)?.run === run.run) return;
  const handle = parseHandle({ ...run.handle });
  if (handle === null) return;
  parts.watch.add({ ...run, handle });
  const agent = parts.config.agents.get(run.agent);
  if (agent !== undefined) openAgain(parts, run.cellId, agent);
}

function watchSetup(parts: Parts, setup: WatchedSetup): void {
  if (parts.setups.find(setup.cell.id)?.run === setup.run) return;
  const handle = parseHandle({ ...setup.handle });
  if (handle === null) return;
  parts.setups.add({ ...setup, handle });
  openAgain(parts, setup.cell.id, setupGate(handle, setup.setup));
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
