import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AgentConfig } from "../config/config.ts";
import { loginWays } from "../setup/agents-here.ts";

/** What a known agent lacks to log in to its model from inside a cell; empty where nothing is known to. */
export function aboutLogin({ preset, env, set, unsetEnv, homeTemplate, network }: AgentConfig): string[] {
  const ways = preset === null ? null : loginWays(preset);
  if (ways === null) return [];
  // A model of one's own on this machine wants none.
  if (Array.isArray(network) && network.some((one) => /^(127\.|localhost|\[::1\])/.test(one))) return [];
  const given = [...Object.keys(env), ...Object.keys(set)];
  if (given.some((name) => /(KEY|TOKEN|SECRET)$/.test(name))) return [];
  // Each name that is not set has a line of its own already.
  if (unsetEnv.some((name) => ways.keys.includes(name))) return [];
  const [key = ""] = ways.keys;
  const file = ways.file === null ? "" : `, or home: a directory with ${ways.file}`;
  if (homeTemplate === null)
    return [`login: it has no key and no home, so it is nobody: env: [${key}]${file}`];
  if (ways.file === null || existsSync(join(homeTemplate, ways.file))) return [];
  return [`login: its home lacks ${ways.file}: log in there, or give it env: [${key}]`];
}
