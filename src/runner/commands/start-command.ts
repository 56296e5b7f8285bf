import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Backend, Handle, Surroundings } from "../../backends/backend.ts";
import { logNameOf } from "../../cells/names.ts";
import type { AgentConfig, Config } from "../../config/config.ts";
import { systemCode } from "../../errors.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import { type Confines, surroundingsOf } from "../confinement.ts";
import { type CellPaths, directoryError, pathsOf } from "../disk/directory.ts";
import { below, openDirectory } from "../disk/safe-files.ts";
import type { Mirrors } from "../git/mirror.ts";
import type { PlannedCommand } from "./planned-commands.ts";

export interface SurroundingDeps {
  readonly config: Pick<Config, "childPath">;
  readonly cellDir: (cellId: string) => string;
  readonly mirrors: Pick<Mirrors, "path">;
}

/**
 * What every process of a setup or a check gets: the agent's isolation, user and limits; a home, network and
 * variables of its own, and nothing that an agent was given.
 */
export function commandSurroundings(
  deps: SurroundingDeps,
  cell: Pick<CellSpec, "id" | "repository" | "user">,
  how: { readonly confines: Confines; readonly home: string } & Pick<PlannedCommand, "network" | "set">,
): Surroundings {
  const paths = pathsOf(deps.cellDir(cell.id));
  const around = surroundingsOf(
    { id: cell.id, paths, mirror: deps.mirrors.path(cell.repository), user: cell.user },
    { ...how.confines, name: how.home, network: how.network },
    { role: "executor", path: deps.config.childPath },
  );
  const { PATH = "", HOME: home = "", LANG = "", TERM = "" } = around.env;
  return { ...around, env: { CI: "1", PATH, LANG, TERM, ...how.set, HOME: home, LAZARUS_CELL: cell.id } };
}

/** Its gate to its own hosts, in the terms of an agent's; `home`: the name of its home. */
export function commandGate(
  agent: Pick<AgentConfig, "backend">,
  { home, network }: { readonly home: string } & Pick<AgentConfig, "network">,
): Pick<AgentConfig, "name" | "backend" | "network"> {
  return { name: home, backend: agent.backend, network };
}

/**
 * Begins a command in a process that lives by itself as an agent's does, or finds it begun. `log`: whose
 * output it is, by its file's name; `state`: the directory below `state/` that keeps the shim's record.
 * @throws LazarusError `backend`, `agent-missing`, `directory`, `disk-full`.
 */
export async function startCommand(
  backend: Backend,
  what: {
    readonly paths: CellPaths;
    readonly around: Surroundings;
    readonly run: string;
    readonly n: number;
    readonly log: string;
    readonly state: string;
  },
): Promise<Handle> {
  const { paths, around, n, log, state } = what;
  await makeState(paths, state);
  return backend.start({
    ...around,
    run: n,
    agent: log,
    command: ["/bin/sh", "-e", "-c", what.run],
    stdinPath: null,
    logPath: join(paths.logs, logNameOf(log, n)),
    stateDir: join(paths.state, state),
  });
}

async function makeState(paths: CellPaths, name: string): Promise<void> {
  try {
    const state = await openDirectory(paths.cell, "state");
    try {
      await mkdir(below(state, name), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
    } finally {
      await state.close();
    }
  } catch (error) {
    throw directoryError(error, `making ${join(paths.state, name)}`);
  }
}
