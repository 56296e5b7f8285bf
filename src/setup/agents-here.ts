import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { findProgram } from "../backends/os/tools.ts";
import type { Environment } from "../config/config.ts";
import { PRESET_NAMES, type PresetName } from "../preset-names.ts";

/** An agent whose program is on this machine. */
export interface AgentHere {
  readonly name: PresetName;
  /** Absolute; null for what needs no program of its own. */
  readonly program: string | null;
  /** Whether a cell could log in, in a few words. */
  readonly login: "key" | "login" | "none" | "not-needed";
  /** Names of variables that hold its keys and are set. */
  readonly keys: readonly string[];
}

interface Known {
  /** Variables that it logs in by, the usual one first. */
  readonly keys: readonly string[];
  readonly hosts: readonly string[];
  /** Its own cheap check, which exits with 0 where somebody is logged in. */
  readonly check?: readonly string[];
  /** A file below HOME that is there where somebody is logged in. */
  readonly file?: string;
}

/** @see docs/agents.md, and the vendors' own documentation. */
const KNOWN: { readonly [Name in Exclude<PresetName, "demo">]: Known } = {
  claude: {
    keys: ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
    hosts: ["api.anthropic.com"],
    file: ".claude/.credentials.json",
  },
  codex: { keys: ["CODEX_API_KEY"], hosts: ["api.openai.com"], check: ["login", "status"] },
  gemini: {
    keys: ["GEMINI_API_KEY"],
    hosts: ["generativelanguage.googleapis.com"],
    file: ".gemini/oauth_creds.json",
  },
  qwen: { keys: ["OPENAI_API_KEY"], hosts: ["dashscope.aliyuncs.com"], file: ".qwen/oauth_creds.json" },
  opencode: {
    keys: ["ANTHROPIC_API_KEY"],
    hosts: ["api.anthropic.com"],
    file: ".local/share/opencode/auth.json",
  },
  aider: { keys: ["ANTHROPIC_API_KEY"], hosts: ["api.anthropic.com"] },
  hermes: { keys: ["ANTHROPIC_API_KEY"], hosts: ["api.anthropic.com"], file: ".hermes/auth.json" },
};

const CHECK_MS = 10_000;

/** Looks for the program of each preset on PATH, and whether it is logged in; `demo` is always there. */
export async function findAgents(env: Environment): Promise<AgentHere[]> {
  const found: AgentHere[] = [];
  for (const name of PRESET_NAMES) {
    if (name === "demo") {
      found.push({ name, program: null, login: "not-needed", keys: [] });
      continue;
    }
    const program = findProgram(name, (env.PATH ?? "").split(delimiter).filter(isAbsolute));
    if (program === null) continue;
    const keys = KNOWN[name].keys.filter((key) => (env[key] ?? "") !== "");
    const login = keys.length > 0 ? "key" : (await isLoggedIn(name, program, env)) ? "login" : "none";
    found.push({ name, program, login, keys });
  }
  return found;
}

async function isLoggedIn(
  name: Exclude<PresetName, "demo">,
  program: string,
  env: Environment,
): Promise<boolean> {
  const { check, file } = KNOWN[name];
  if (check !== undefined) return exitsWell(program, check, env);
  if (file === undefined || env.HOME === undefined) return false;
  try {
    accessSync(join(env.HOME, file), constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function exitsWell(program: string, words: readonly string[], env: Environment): Promise<boolean> {
  const given = Object.fromEntries(["PATH", "HOME"].map((name) => [name, env[name]]));
  return new Promise((resolve) => {
    const options = { env: given, timeout: CHECK_MS, killSignal: "SIGKILL" as const };
    execFile(program, [...words], options, (error) => resolve(error === null)).stdin?.end();
  });
}

/**
 * What a known agent logs in by: variables, or a file below its home. Null: it needs nothing, or is not
 * known.
 */
export function loginWays(
  preset: PresetName,
): { readonly keys: readonly string[]; readonly file: string | null } | null {
  if (preset === "demo") return null;
  const { keys, file } = KNOWN[preset];
  return { keys, file: file ?? null };
}

/** How the list of agents shows it. */
export function describe({ name, login, keys }: AgentHere): string {
  const words = {
    key: `${keys[0]} is set`,
    login: "logged in on this machine; a cell needs a key or a home (docs/agents.md)",
    none: "not logged in, no key",
    "not-needed": "needs no model, no key and no network",
  };
  return `${name} (${words[login]})`;
}

/** Its section of `lazarus.yaml`. */
export function sectionOf(agent: AgentHere, backend: "process" | null): Record<string, unknown> {
  const how = backend === null ? {} : { backend };
  if (agent.name === "demo") return { preset: "demo", ...how };
  const { keys, hosts } = KNOWN[agent.name];
  const path = pathFor(agent.program);
  return {
    preset: agent.name,
    env: agent.keys.length > 0 ? [...agent.keys] : keys.slice(0, 1),
    network: [...hosts],
    ...(path === null ? {} : { paths: [path] }),
    ...how,
  };
}

/** What the sandbox must show besides the system's own: where a program lies that was installed elsewhere. */
function pathFor(program: string | null): string | null {
  if (program === null) return null;
  const real = realpathSync(program);
  return /^\/(usr|bin|lib|lib64|sbin|nix)\//.test(real) ? null : dirname(real);
}
