import type { Backend } from "../../backends/backend.ts";
import { logNameOf, SETUP_LOG } from "../../cells/names.ts";
import type { Config } from "../../config/config.ts";
import { explain } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { WatchedSetup } from "../../protocol/runner-port.ts";
import type { CommandAtWork } from "../commands/command-watch.ts";
import { unknownAgent } from "../confinement.ts";
import { type Left, lookAtTree } from "./after-setup.ts";
import { type SetupDeps, setupSurroundings } from "./start-setup.ts";

const NOTHING_LEFT: Left = { changed: [], untracked: [] };

export interface WatchSetupDeps extends Omit<SetupDeps, "config" | "gates"> {
  readonly config: Pick<Config, "agents" | "dataDir" | "childPath">;
  readonly log: Pick<Log, "warn">;
  readonly redact: (text: string) => string;
}

/** A setup of a cell as a command that is watched. */
export function setupAtWork(
  deps: WatchSetupDeps,
  { cell, run, agent, setup, handle }: Omit<WatchedSetup, "handle"> & Pick<CommandAtWork, "handle">,
): CommandAtWork {
  const { command, limitMs, startedAt, network } = setup;
  return {
    ...{ cell, agent, command, limitMs, startedAt, handle },
    key: `setup ${run}`,
    noted: { what: "setup ended", run },
    log: logNameOf(SETUP_LOG, run),
    beat: "setting-up",
    async reportOf({ isOverTime: _, isOutOfMemory: __, ...end }, backend) {
      const isGood = end.code === 0 && end.stopped === null;
      const left = isGood ? await lookAfter(deps, { cell, agent, network }, backend) : NOTHING_LEFT;
      return reportOf("setup-ended", { cellId: cell.id, run, end: { ...end, ...left } });
    },
  };
}

/** What cannot be looked at is said in our own log: the setup is no worse for it. */
async function lookAfter(
  deps: WatchSetupDeps,
  { cell, agent, network }: Pick<WatchedSetup, "cell" | "agent"> & Pick<WatchedSetup["setup"], "network">,
  backend: Backend,
): Promise<Left> {
  const { config, log, redact } = deps;
  const confines = config.agents.get(agent) ?? unknownAgent(agent);
  const around = setupSurroundings(deps, cell, { confines, network, set: {} });
  return lookAtTree(backend, around, { dir: config.dataDir, redact }).catch((error: unknown) => {
    log.warn({ cell: cell.id, error: explain(error) }, "the tree could not be looked at after its setup");
    return NOTHING_LEFT;
  });
}
