import { join } from "node:path";
import { baseEnvironment } from "../backends/agents.ts";
import type { CellUser, Surroundings } from "../backends/backend.ts";
import type { Role } from "../cells/cell.ts";
import type { AgentConfig } from "../config/config.ts";
import type { CellPaths } from "./disk/directory.ts";

/** What of an agent's configuration its surroundings are made of. */
export interface Confines extends Pick<AgentConfig, "name" | "network" | "paths" | "image" | "git"> {
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
  as: {
    readonly role: Role;
    readonly path: string;
    /** Of the key that signs its commits, where it has one; a child that is no run needs none. */
    readonly signingKey?: string;
    /** What a run starts with; none for a child that is no run. */
    readonly prompt?: string;
  },
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
      prompt: as.prompt ?? null,
      mirror: cell.mirror,
    },
    env: baseEnvironment({
      cellId: cell.id,
      agentName: agent.name,
      role: as.role,
      briefPath: as.prompt ?? paths.brief,
      missionPath: paths.brief,
      artifacts: paths.artifacts,
      home,
      path: as.path,
      git: { ...agent.git, keyPath: as.signingKey ?? null },
    }),
    role: as.role,
    limits: {
      memoryBytes: agent.limits.memoryBytes,
      processes: agent.limits.processes,
      fileBytes: agent.limits.fileBytes,
      openFiles: OPEN_FILES,
    },
    network: agent.network,
    paths: as.signingKey === undefined ? agent.paths : [...agent.paths, as.signingKey],
    image: agent.image,
    user: cell.user,
  };
}

/** An agent that left the configuration after its run: its work is taken out all the same. */
export function unknownAgent(name: string): Confines {
  const limits = { memoryBytes: null, processes: null, fileBytes: 2 * 1024 ** 3 };
  const git = { name: null, email: null, keyPath: null, hasCoAuthor: false };
  return { name, limits, network: "none", paths: [], image: null, git };
}
