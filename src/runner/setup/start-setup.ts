import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Backend, Handle, Surroundings } from "../../backends/backend.ts";
import { logNameOf, SETUP_LOG } from "../../cells/names.ts";
import type { AgentConfig, Config } from "../../config/config.ts";
import { systemCode } from "../../errors.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import type { PlannedCommand } from "../commands/planned-commands.ts";
import { type Confines, surroundingsOf } from "../confinement.ts";
import { type CellPaths, directoryError, pathsOf } from "../disk/directory.ts";
import { ensureHome, SETUP_HOME } from "../disk/home.ts";
import { below, openDirectory } from "../disk/safe-files.ts";
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

/**
 * What every process of a setup gets: the agent's isolation, user and limits; a network, home and variables
 * of its own.
 */
export function setupSurroundings(
  parts: Omit<SetupDeps, "gates">,
  cell: Pick<CellSpec, "id" | "repository" | "user">,
  how: { readonly confines: Confines } & Pick<PlannedCommand, "network" | "set">,
): Surroundings {
  const paths = pathsOf(parts.cellDir(cell.id));
  const around = surroundingsOf(
    { id: cell.id, paths, mirror: parts.mirrors.path(cell.repository), user: cell.user },
    { ...how.confines, name: SETUP_HOME, network: how.network },
    { role: "executor", path: parts.config.childPath },
  );
  const { PATH = "", HOME: home = "", LANG = "", TERM = "" } = around.env;
  return { ...around, env: { CI: "1", PATH, LANG, TERM, ...how.set, HOME: home, LAZARUS_CELL: cell.id } };
}

/** The gate of a setup to its own hosts, in the terms of an agent's. */
export function setupGate(
  agent: Pick<AgentConfig, "backend">,
  { network }: Pick<PlannedCommand, "network">,
): Pick<AgentConfig, "name" | "backend" | "network"> {
  return { name: SETUP_HOME, backend: agent.backend, network };
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
  await makeState(paths);
  await parts.gates.open(cell.id, setupGate(agent, plan));
  return what.backend.start({
    ...around,
    run,
    agent: SETUP_LOG,
    command: ["/bin/sh", "-e", "-c", plan.run],
    stdinPath: null,
    logPath: join(paths.logs, logNameOf(SETUP_LOG, run)),
    stateDir: setupStateOf(paths),
  });
}

async function makeState(paths: CellPaths): Promise<void> {
  try {
    const state = await openDirectory(paths.cell, "state");
    try {
      await mkdir(below(state, STATE), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
    } finally {
      await state.close();
    }
  } catch (error) {
    throw directoryError(error, `making ${setupStateOf(paths)}`);
  }
}
