import { accessSync, constants, readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import type { PresetName } from "../preset-names.ts";
import type { FileAgent, FileConfig } from "./schema.ts";
import { type Environment, why } from "./source.ts";

/** How to start one agent, and within which limits. Paths are absolute. */
export interface AgentConfig {
  readonly name: string;
  readonly preset: PresetName | null;
  /** Wins over the preset's. A relative program with a slash was made absolute. */
  readonly command: readonly string[] | null;
  /** Added to the preset's command. */
  readonly args: readonly string[];
  /** Given to the preset's command; null: the agent's own choice. */
  readonly model: string | null;
  /** Null: the preset's. */
  readonly brief: "stdin" | "argument" | "file" | null;
  readonly homeTemplate: string | null;
  /** The names of `env` that are set, with their values: secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** The names of `env` that are not set. */
  readonly unsetEnv: readonly string[];
  /** The names of `pass` that are set, with their values: no secrets. */
  readonly pass: Readonly<Record<string, string>>;
  /** The names of `pass` that are not set. */
  readonly unsetPass: readonly string[];
  readonly set: Readonly<Record<string, string>>;
  /** Who its commits are from; null: Lazarus chooses. */
  readonly git: {
    readonly name: string | null;
    readonly email: string | null;
    /** A private SSH key that signs its commits. */
    readonly keyPath: string | null;
    /** Whether its brief asks for a line that names whoever asked. */
    readonly hasCoAuthor: boolean;
  };
  readonly healthUrl: string | null;
  /** Labels that its runner must have. */
  readonly runsOn: readonly string[];
  readonly backend: "process" | "sandbox" | "container";
  /** The file names none: the sandbox is meant. */
  readonly isDefaultBackend: boolean;
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
    /** Without a sign of life for so long it is quiet, and then stalled. */
    readonly quietMs: number;
    readonly stalledMs: number;
    /** Of one run, where the agent tells what it uses; 0: no limit. */
    readonly costUsd: number;
    readonly tokens: number;
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
  const keyPath = agent.git.sign === undefined ? null : resolve(base, agent.git.sign);
  const [program = "", ...words] = agent.command ?? [];
  const isRelative = program.includes("/") && !isAbsolute(program);
  notices.push(...noticesOf(name, agent));
  return {
    name,
    preset: agent.preset ?? null,
    command: agent.command === undefined ? null : [isRelative ? resolve(base, program) : program, ...words],
    args: agent.args,
    model: agent.model ?? null,
    brief: agent.brief ?? (agent.preset === undefined ? "stdin" : null),
    homeTemplate: home,
    env: valuesOf(agent.env, env),
    unsetEnv: agent.env.filter((each) => env[each] === undefined),
    pass: valuesOf(agent.pass, env),
    unsetPass: agent.pass.filter((each) => env[each] === undefined),
    set: agent.set,
    git: {
      name: agent.git.name ?? null,
      email: agent.git.email ?? null,
      keyPath,
      hasCoAuthor: agent.git.co_author,
    },
    healthUrl: agent.health_url ?? null,
    runsOn: agent.runs_on,
    backend: agent.backend ?? "sandbox",
    isDefaultBackend: agent.backend === undefined,
    unavailable: unavailable(home) ?? unusable(keyPath),
    network: agent.network,
    image: agent.image ?? null,
    paths: agent.paths.map((each) => resolve(base, each)),
    limits: {
      runMs: agent.limits.run ?? file.limits.run,
      memoryBytes: agent.limits.memory,
      processes: agent.limits.processes,
      logBytes: agent.limits.log,
      fileBytes: agent.limits.file,
      quietMs: agent.limits.quiet ?? file.pit.quiet,
      stalledMs: agent.limits.stalled ?? file.pit.stalled,
      costUsd: agent.limits.cost,
      tokens: agent.limits.tokens,
    },
  };
}

function valuesOf(names: readonly string[], env: Environment): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((each) => (env[each] === undefined ? [] : [[each, env[each]] as const])),
  );
}

function unavailable(home: string | null): string | null {
  try {
    if (home !== null) accessSync(home, constants.R_OK | constants.X_OK);
    return null;
  } catch (error) {
    return `its home template cannot be read: ${why(error)}`;
  }
}

function unusable(keyPath: string | null): string | null {
  try {
    if (keyPath === null || isPrivateKey(readFileSync(keyPath, "utf8"))) return null;
    return `its signing key ${keyPath} is no private SSH key`;
  } catch (error) {
    return `its signing key cannot be read: ${why(error)}`;
  }
}

function isPrivateKey(text: string): boolean {
  return /^-----BEGIN [A-Z ]*PRIVATE KEY-----$/m.test(text);
}

/** Each line of a private key by itself: who has one of them has part of the key. */
export function keyLines({ git: { keyPath } }: Pick<AgentConfig, "git">): string[] {
  if (keyPath === null) return [];
  try {
    const lines = readFileSync(keyPath, "utf8").split(/\r?\n/);
    return lines.filter((line) => line.length >= 20 && !line.startsWith("-----"));
  } catch {
    // Said by `unavailable`: the agent cannot be summoned.
    return [];
  }
}

function noticesOf(name: string, agent: FileAgent): string[] {
  const path = `agents.${name}`;
  const said: string[] = [];
  if (agent.image !== undefined && agent.backend !== "container")
    said.push(`${path}.image: does not hold, only the container backend has images`);
  return said;
}
