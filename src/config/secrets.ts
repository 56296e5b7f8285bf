import { type AgentConfig, keyLines } from "./agents.ts";
import { passwordsIn, secretsOfHome } from "./home-secrets.ts";
import { type RepositoryChecks, secretsOfChecks } from "./repository-checks.ts";
import type { Environment } from "./source.ts";

interface Sources {
  /** Tokens, and the secrets of its hooks. */
  readonly forge: readonly string[];
  readonly checks: readonly RepositoryChecks[];
  readonly agents: ReadonlyMap<string, AgentConfig>;
  readonly env: Environment;
}

/** What must never be shown, whatever its length. */
interface Secrets {
  readonly secrets: readonly string[];
  readonly envSecrets: readonly { readonly name: string; readonly value: string }[];
}

/**
 * Every value that must never be shown. Values of agents' `env` that are no other secret have the names of
 * their variables: a director may let one go.
 */
export function gatherSecrets(sources: Sources): Secrets {
  const agents = [...sources.agents.values()];
  const given = agents.flatMap(({ env }) => Object.entries(env));
  const addresses = [
    ...PROXIES.flatMap((name) => withScheme(sources.env[name] ?? "")),
    ...agents.flatMap(({ env, set }) => [...Object.values(env), ...Object.values(set)]),
  ];
  const firm = [
    ...secretsOfChecks(sources.checks),
    ...sources.forge,
    ...agents.flatMap(keyLines),
    ...addresses.flatMap(passwordsIn),
    ...[...new Set(agents.map(({ homeTemplate }) => homeTemplate))].flatMap(secretsOfHome),
  ];
  const all = new Set([...firm, ...given.map(([, value]) => value)].filter((value) => value !== ""));
  const names = new Map(given.filter(([, value]) => value !== "" && !firm.includes(value)));
  return { secrets: [...all], envSecrets: [...names].map(([name, value]) => ({ name, value })) };
}

/** A proxy may be written without one. */
function withScheme(address: string): string {
  return address.includes("://") ? address : `http://${address}`;
}

const PROXIES = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
