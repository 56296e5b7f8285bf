import { accessSync, constants } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import type { FileAgent, FileConfig, PresetName } from "./config-schema.ts";
import { type Environment, why } from "./config-source.ts";

/** How to start one agent, and within which limits. Paths are absolute. */
export interface AgentConfig {
  readonly name: string;
  readonly preset: PresetName | null;
  /** Wins over the preset's. A relative program with a slash was made absolute. */
  readonly command: readonly string[] | null;
  /** Null: the preset's. */
  readonly brief: "stdin" | "argument" | "file" | null;
  readonly homeTemplate: string | null;
  /** The names of `env` that are set, with their values: secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly set: Readonly<Record<string, string>>;
  readonly healthUrl: string | null;
  readonly backend: "process" | "sandbox" | "container";
  /** Why it cannot be summoned in this version; null: it can. */
  readonly unavailable: string | null;
  readonly network: "none" | "full" | readonly string[];
  readonly image: string | null;
  readonly paths: readonly string[];
  readonly limits: {
    readonly runMs: number;
    readonly memoryBytes: number | null;
    readonly processes: number | null;
    readonly logBytes: number;
    readonly fileBytes: number;
  };
}

export interface AgentOrigin {
  /** Where relative paths start. */
  readonly base: string;
  readonly env: Environment;
  readonly file: FileConfig;
  readonly notices: string[];
}

/** One agent of the file in our terms; what does not hold for it is added to `notices`. */
export function buildAgent(
  name: string,
  agent: FileAgent,
  { file, base, env, notices }: AgentOrigin,
): AgentConfig {
  const home = agent.home === undefined ? null : resolve(base, agent.home);
  const [program = "", ...words] = agent.command ?? [];
  const isRelative = program.includes("/") && !isAbsolute(program);
  notices.push(...noticesOf(name, agent));
  return {
    name,
    preset: agent.preset ?? null,
    command: agent.command === undefined ? null : [isRelative ? resolve(base, program) : program, ...words],
    brief: agent.brief ?? (agent.preset === undefined ? "stdin" : null),
    homeTemplate: home,
    env: Object.fromEntries(
      agent.env.flatMap((each) => (env[each] === undefined ? [] : [[each, env[each]]])),
    ),
    set: agent.set,
    healthUrl: agent.health_url ?? null,
    backend: agent.backend ?? "process",
    unavailable: unavailable(agent, home),
    network: agent.network,
    image: agent.image ?? null,
    paths: agent.paths.map((each) => resolve(base, each)),
    limits: {
      runMs: agent.limits.run ?? file.limits.run,
      memoryBytes: agent.limits.memory,
      processes: agent.limits.processes,
      logBytes: agent.limits.log,
      fileBytes: agent.limits.file,
    },
  };
}

function unavailable(agent: FileAgent, home: string | null): string | null {
  if (agent.backend !== undefined && agent.backend !== "process") {
    return `its backend ${agent.backend} is not in this version, only process is`;
  }
  try {
    if (home !== null) accessSync(home, constants.R_OK | constants.X_OK);
    return null;
  } catch (error) {
    return `its home template cannot be read: ${why(error)}`;
  }
}

function noticesOf(name: string, agent: FileAgent): string[] {
  const path = `agents.${name}`;
  const said: string[] = [];
  if (agent.backend !== undefined && agent.backend !== "process") {
    said.push(`${path}.backend: ${agent.backend} is not in this version, ${name} cannot be summoned`);
  } else {
    if (agent.backend === undefined) {
      said.push(
        `${path}: runs in process, since sandbox is not in this version: it can read what Lazarus can, its token too`,
      );
    }
    if (agent.network !== "full")
      said.push(`${path}.network: does not hold in process, where the network is not limited`);
    if (agent.paths.length > 0) said.push(`${path}.paths: does not hold in process, which limits no reading`);
  }
  if (agent.image !== undefined)
    said.push(`${path}.image: does not hold, the container backend is not in this version`);
  if (agent.health_url !== undefined) said.push(`${path}.health_url: is not polled in this version`);
  return said;
}
