import { createHash } from "node:crypto";
import { join } from "node:path";
import { baseEnvironment } from "../backends/agents.ts";
import type { CellUser, Surroundings } from "../backends/backend.ts";
import type { AgentConfig } from "../config.ts";
import type { Role } from "./cell.ts";
import type { CellPaths } from "./directory.ts";

/** What of an agent's configuration its surroundings are made of. */
export interface Confines extends Pick<AgentConfig, "name" | "network" | "paths" | "image"> {
  readonly limits: Pick<AgentConfig["limits"], "memoryBytes" | "processes" | "fileBytes">;
}

/** Enough for any agent; a machine that allows less keeps its own limit. */
const OPEN_FILES = 16_384;

/** What every process of an agent in a cell gets: where things lie, its environment, its limits. */
export function surroundingsOf(
  cell: {
    readonly id: string;
    readonly paths: CellPaths;
    readonly mirror: string;
    readonly user: CellUser | null;
  },
  agent: Confines,
  as: { readonly role: Role; readonly path: string },
): Surroundings {
  const { paths } = cell;
  const home = join(paths.home, agent.name);
  return {
    cellId: cell.id,
    dirs: {
      cell: paths.cell,
      worktree: paths.worktree,
      artifacts: paths.artifacts,
      home,
      brief: paths.brief,
      mirror: cell.mirror,
    },
    env: baseEnvironment({
      cellId: cell.id,
      agentName: agent.name,
      role: as.role,
      briefPath: paths.brief,
      artifacts: paths.artifacts,
      home,
      path: as.path,
    }),
    role: as.role,
    limits: {
      memoryBytes: agent.limits.memoryBytes,
      processes: agent.limits.processes,
      fileBytes: agent.limits.fileBytes,
      openFiles: OPEN_FILES,
    },
    network: agent.network,
    paths: agent.paths,
    image: agent.image,
    user: cell.user,
  };
}

/** The session that an agent goes on with in one cell: a UUID made of both names, so that nothing needs to remember it. */
export function sessionIdOf(cellId: string, agent: string): string {
  const hex = createHash("sha256").update(`${cellId} ${agent}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The name of a run's log below `logs/`. */
export function logNameOf(agent: string, run: number): string {
  return `${agent}-${run}.log`;
}
