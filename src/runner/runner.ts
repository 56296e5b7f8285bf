import { explain, LazarusError } from "../errors.ts";
import type { RunnerKind } from "../protocol/reports.ts";
import type {
  Outcome,
  RunnerJob,
  RunnerPort,
  WatchedCheck,
  WatchedRun,
  WatchedSetup,
} from "../protocol/runner-port.ts";
import { checkAtWork } from "./checks/watch-check.ts";
import { commandGate } from "./commands/start-command.ts";
import { createParts, type Parts, parseHandle, type RunnerDeps } from "./context.ts";
import { CHECKS_HOME, SETUP_HOME } from "./disk/home.ts";
import { readLogEnd } from "./disk/log-tail.ts";
import { check } from "./jobs/check.ts";
import { collectRun } from "./jobs/collect.ts";
import { deleteBranchOf } from "./jobs/delete-branch.ts";
import { endCheck } from "./jobs/end-check.ts";
import { letGo } from "./jobs/let-go.ts";
import { mark } from "./jobs/mark.ts";
import { planChecks } from "./jobs/plan-checks.ts";
import { prune } from "./jobs/prune.ts";
import { push } from "./jobs/push.ts";
import { restore } from "./jobs/restore.ts";
import { scrub } from "./jobs/scrub.ts";
import { seal } from "./jobs/seal.ts";
import { spare } from "./jobs/spare.ts";
import { start } from "./jobs/start.ts";
import { stop } from "./jobs/stop.ts";
import { store } from "./jobs/store.ts";
import { tail } from "./jobs/tail.ts";
import { takeIn } from "./jobs/take-in.ts";
import { unknownSecrets, whatIsMissing } from "./known-secrets.ts";
import { createInventory } from "./pit/inventory.ts";
import { setupAtWork } from "./setup/watch-setup.ts";
import { sweep } from "./sweep.ts";

export type { RunnerDeps } from "./context.ts";

type Act<K extends RunnerKind> = (parts: Parts, job: RunnerJob<K>, signal: AbortSignal) => Promise<Outcome>;

/** What is done for each kind of job: a file in `jobs/` of its name. */
const ACTS: { readonly [K in RunnerKind]: Act<K> } = {
  start,
  stop,
  collect: collectRun,
  push,
  "plan-checks": planChecks,
  check,
  "end-check": endCheck,
  mark,
  spare,
  tail,
  "delete-branch": deleteBranchOf,
  seal,
  store,
  restore,
  "let-go": letGo,
  "take-in": takeIn,
  prune,
  scrub,
};

/** A runner on this host, and what only its own host asks of it. */
export interface Runner extends RunnerPort {
  /** Ids of the repositories that a checked-out tree waits for. */
  trees(): number[];
}

/** A runner on this host. Exactly one program may use `dataDir` and `missionsDir`. */
export function createRunner(deps: RunnerDeps): Runner {
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
    adopt({ runs, setups, checks }) {
      for (const run of runs) watchRun(parts, run);
      for (const setup of setups) watchSetup(parts, setup);
      for (const check of checks) watchCheck(parts, check);
    },
    sweep: (knownIds) => sweep(parts, knownIds),
    trees: () => parts.spares.repositories(),
    inventory: (how) => inventory.look(how),
    readLog: async (cellId, log, { maxBytes, secrets }) => {
      const { missing } = unknownSecrets(secrets, parts);
      if (missing.length > 0) return { text: `[not shown: ${whatIsMissing(missing)}]\n`, cut: true };
      return readLogEnd(parts.cellDir(cellId), log, { maxBytes, redact: parts.redact });
    },
    hear: async (cellId, words) => parts.watch.hear(cellId, words),
    async close() {
      await inventory.stop();
      await parts.watch.close();
      await parts.commands.close();
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
  const handle = parseHandle({ ...setup.handle });
  if (handle === null) return;
  const command = setupAtWork(parts, { ...setup, handle });
  if (!parts.commands.add(command)) return;
  openAgain(parts, setup.cell.id, commandGate(handle, { home: SETUP_HOME, network: setup.setup.network }));
}

function watchCheck(parts: Parts, check: WatchedCheck): void {
  const handle = parseHandle({ ...check.handle });
  if (handle === null) return;
  if (!parts.commands.add(checkAtWork({ ...check, handle }))) return;
  openAgain(parts, check.cell.id, commandGate(handle, { home: CHECKS_HOME, network: check.network }));
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
