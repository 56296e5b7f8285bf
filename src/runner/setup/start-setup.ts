import { join } from "node:path";
import type { Backend, Handle, Surroundings } from "../../backends/backend.ts";
import { SETUP_LOG } from "../../cells/names.ts";
import type { AgentConfig, Config } from "../../config/config.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import type { PlannedCommand } from "../commands/planned-commands.ts";
import { commandGate, commandSurroundings, startCommand } from "../commands/start-command.ts";
import type { Confines } from "../confinement.ts";
import { type CellPaths, pathsOf } from "../disk/directory.ts";
import { ensureHome, SETUP_HOME } from "../disk/home.ts";
import type { Gates } from "../gates.ts";
import type { Mirrors } from "../git/mirror.ts";

const STATE = "setup";

export interface SetupDeps {
  readonly config: Pick<Config, "childPath">;
  readonly cellDir: (cellId: string) => string;
  readonly mirrors: Pick<Mirrors, "path">;
  readonly gates: Pick<Gates, "open">;
}

/** Where the shim of a setup keeps its record, apart from the one of its run. */
export function setupStateOf(paths: Pick<CellPaths, "state">): string {
  return join(paths.state, STATE);
}

/** What every process of a setup gets; its tree is the cell's own. */
export function setupSurroundings(
  parts: Omit<SetupDeps, "gates">,
  cell: Pick<CellSpec, "id" | "repository" | "user">,
  how: { readonly confines: Confines } & Pick<PlannedCommand, "network" | "set">,
): Surroundings {
  return commandSurroundings(parts, cell, { ...how, home: SETUP_HOME });
}

/**
 * Begins the setup of a cell for a run, in a process that lives by itself as an agent's does, or finds it
 * begun.
 * @throws LazarusError `backend`, `agent-missing`, `directory`, `disk-full`.
 */
export async function startSetup(
  parts: SetupDeps,
  what: {
    readonly cell: CellSpec;
    readonly run: number;
    readonly agent: AgentConfig;
    readonly backend: Backend;
    readonly plan: PlannedCommand;
  },
): Promise<Handle> {
  const { cell, run, agent, plan } = what;
  const paths = pathsOf(parts.cellDir(cell.id));
  const around = setupSurroundings(parts, cell, { ...plan, confines: agent });
  await ensureHome(paths, {
    agent: SETUP_HOME,
    template: null,
    directories: [],
    files: [],
    owner: cell.user === null ? null : { user: cell.user, path: parts.config.childPath },
  });
  await parts.gates.open(cell.id, commandGate(agent, { home: SETUP_HOME, network: plan.network }));
  const command = { paths, around, run: plan.run, n: run, log: SETUP_LOG, state: STATE };
  return startCommand(what.backend, command);
}
