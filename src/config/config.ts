import { delimiter, dirname, isAbsolute, resolve } from "node:path";
import { type AgentConfig, buildAgent } from "./agents.ts";
import { checkContradictions, checkLoopback, checkSchema, checkSilence } from "./checks.ts";
import { ConfigFault } from "./config-fault.ts";
import { EVERYTHING, type HookSecret, readSecretsFiles } from "./hook-secrets.ts";
import { buildLimits, type Limits } from "./limits.ts";
import { proxies } from "./proxies.ts";
import { buildChecks, type RepositoryChecks, withLongChecks } from "./repository-checks.ts";
import { buildRunners, checkRunners, type Runners, secretsOfRunner } from "./runners.ts";
import type { FileConfig } from "./schema.ts";
import { sealsNotices } from "./seals.ts";
import { gatherSecrets } from "./secrets.ts";
import {
  at,
  type Environment,
  type Need,
  put,
  readLimited,
  readSource,
  substitute,
  type Tree,
  why,
} from "./source.ts";

export type { AgentConfig, Environment, Need };

/** Everything configurable, checked and frozen. Paths are absolute, durations in ms, sizes in bytes. */
export interface Config extends Runners {
  /** Where it was read; null: there was no file, only the environment and defaults. */
  readonly file: string | null;
  /**
   * `url` has no slash at its end. Without `server.url` in the file it is made from `listen`, also where its
   * port is 0.
   */
  readonly server: { readonly host: string; readonly port: number; readonly url: string };
  readonly forge: {
    /** Without a slash at its end; empty only where the command in hand needs no forge, like `token`. */
    readonly url: string;
    /** The same for browsers, which may reach it under another address. */
    readonly publicUrl: string;
    readonly token: string;
    /** Whose permissions are asked for with: the bot's own, unless there is a token that may only read. */
    readonly rightsToken: string;
    /** The first that fits signs, all that fit verify. Never empty where the command in hand is a server. */
    readonly webhookSecrets: readonly HookSecret[];
    /** `owner/name` or `owner/*`, as written: names compare without case. */
    readonly repositories: readonly string[];
    readonly caFile: string | null;
    /** 0: only at boot. */
    readonly pollMs: number;
  };
  /** Both null: there is no `/metrics`. */
  readonly metrics: {
    readonly listen: { readonly host: string; readonly port: number } | null;
    readonly token: string | null;
  };
  readonly dataDir: string;
  readonly missionsDir: string;
  readonly login: {
    /** The forge's OAuth2 application; null: nobody signs in through the forge. */
    readonly client: { readonly id: string; readonly secret: string } | null;
    readonly sessionMs: number;
    readonly allowsHttp: boolean;
  };
  readonly audit: { readonly keepMs: number };
  /** Logins and `org/team`, as written: names compare without case. */
  readonly directors: readonly string[];
  readonly pit: {
    readonly scanMs: number;
    readonly staleMs: number;
    readonly skewMs: number;
    readonly quietMs: number;
    readonly stalledMs: number;
  };
  readonly publish: {
    readonly skipCi: boolean;
    readonly maxFileBytes: number;
    /** Patterns of paths that wait for a director's word, besides those that always do. */
    readonly protected: readonly string[];
    readonly prune: boolean;
  };
  /** The first whose pattern matches a repository holds for it. */
  readonly checks: readonly RepositoryChecks[];
  readonly container: { readonly engine: string; readonly args: readonly string[] };
  readonly uids: { readonly first: number; readonly last: number };
  readonly limits: Limits;
  readonly agents: ReadonlyMap<string, AgentConfig>;
  /** One line each, to be said at start: keys that load and do not hold in this version. */
  readonly notices: readonly string[];
  /** Every value that must never be shown, whatever its length. */
  readonly secrets: readonly string[];
  /** Those of them that are the value of a variable in an agent's `env`, and no other secret. */
  readonly envSecrets: readonly { readonly name: string; readonly value: string }[];
  /** The proxy for a request to `url` by HTTPS_PROXY, HTTP_PROXY and NO_PROXY; null: none. */
  proxyFor(url: URL): string | null;
  /** The environment of a container engine's client: where it finds its settings and its socket. */
  readonly engineEnv: Readonly<Record<string, string>>;
  /** PATH for agents: the absolute directories of Lazarus' own. */
  readonly childPath: string;
}

export interface LoadOptions {
  /** `--config`. */
  readonly file?: string;
  readonly env: Environment;
  readonly cwd: string;
  readonly needs: readonly Need[];
}

/** The environment of this process; nothing else reads it. */
export function readEnvironment(): Environment {
  return process.env;
}

const FROM_ENVIRONMENT: readonly (readonly [variable: string, path: string])[] = [
  ["LAZARUS_LISTEN", "server.listen"],
  ["LAZARUS_FORGE_URL", "forge.url"],
  ["LAZARUS_FORGE_TOKEN", "forge.token"],
  ["LAZARUS_WEBHOOK_SECRET", "forge.webhook_secret"],
  ["LAZARUS_DATA", "data"],
  ["LAZARUS_MISSIONS", "missions"],
];

/** Keys that may be given as `<key>_file` instead. */
const SECRETS = [
  ...(["forge.token", "forge.rights_token", "forge.webhook_secret"] as const),
  ...(["login.client_secret", "metrics.token"] as const),
  ...(["queue_password", "runner.join", "seals_secret"] as const),
] as const;

/** Reads file and environment. Throws {@link ConfigFault} with all faults at once. */
export function loadConfig(options: LoadOptions): Config {
  const { env, cwd, needs } = options;
  const source = readSource(options);
  if (source.faults.length > 0) throw new ConfigFault(source.file, source.faults);
  const base = source.file === null ? cwd : dirname(source.file);
  const labels = new Map<string, string>();
  const faults = new Map<string, string>();
  const fault = (path: string, what: string) => {
    // One fault a key: what follows from the first would only confuse.
    if (!faults.has(path)) faults.set(path, `${labels.get(path) ?? path}: ${what}`);
  };

  let tree = source.tree;
  for (const [variable, path] of FROM_ENVIRONMENT) {
    const value = env[variable];
    if (!value) continue;
    labels.set(path, variable);
    const isPath = path === "data" || path === "missions";
    tree = put(put(tree, path, isPath ? resolve(cwd, value) : value), `${path}_file`, undefined);
  }
  for (const path of SECRETS.filter((each) => at(tree, each) != null && at(tree, `${each}_file`) != null)) {
    fault(`${path}_file`, `${path} is given as well: one of them must go`);
  }
  tree = withLongChecks(
    substitute(tree, "", { env, needed: (path) => isNeeded(path, needs), fault }) as Tree,
  );
  for (const path of SECRETS) {
    if (isNeeded(path, needs)) tree = readSecretFile(tree, path, { base, fault });
  }
  if (needs.includes("server")) tree = readSecretsFiles(tree, { base, fault });
  checkRunners(tree, { base, needs, fault });
  const checked = checkSchema(tree, fault);
  checkContradictions(tree, { env, base, needs, fault });
  if (checked !== null) {
    checkSilence(tree, checked, fault);
    checkLoopback(checked, fault);
  }
  if (faults.size > 0 || checked === null) throw new ConfigFault(source.file, [...faults.values()]);
  return build(checked, { file: source.file, base, env, isGiven: (key) => at(tree, key) !== undefined });
}

function isNeeded(path: string, needs: readonly Need[]): boolean {
  if (/^(data|missions|pit)\b/.test(path)) return true;
  if (/^(server|metrics|login)\./.test(path) || path.startsWith("forge.webhook_secret"))
    return needs.includes("server");
  if (path.startsWith("forge.")) return needs.includes("forge") || needs.includes("server");
  if (/^(agents|checks)\./.test(path)) return needs.includes("agents");
  if (/^(queue|seals|runner\b)/.test(path)) return needs.some((need) => need !== "pit" && need !== "forge");
  return needs.some((need) => need !== "pit");
}

/** Puts the content of `<key>_file` where the key would be; one newline at its end is no part of a secret. */
function readSecretFile(
  tree: Tree,
  path: string,
  on: { base: string; fault(path: string, what: string): void },
): Tree {
  const file = at(tree, `${path}_file`);
  if (typeof file !== "string" || at(tree, path) !== undefined) return tree;
  try {
    const value = readLimited(resolve(on.base, file)).replace(/\r?\n$/, "");
    if (value === "") on.fault(`${path}_file`, `${JSON.stringify(file)} is empty`);
    return put(tree, path, value || undefined);
  } catch (error) {
    on.fault(`${path}_file`, `${JSON.stringify(file)} cannot be read: ${why(error)}`);
    return tree;
  }
}

interface Origin {
  readonly file: string | null;
  readonly base: string;
  readonly env: Environment;
  /** Whether the file has this key at all. */
  isGiven(key: string): boolean;
}

/** Keys of capabilities that are still to come: they load, and are named at start. */
export const NOT_YET: readonly (readonly [key: string, why: string])[] = [];

function build(file: FileConfig, { file: path, base, env, isGiven }: Origin): Config {
  const { server, forge, login, audit, metrics, pit, publish, limits } = file;
  const { host, port } = server.listen;
  const notices: string[] = [];
  const agents = new Map(
    Object.entries(file.agents).map(([name, agent]) => [
      name,
      buildAgent(name, agent, { file, base, env, notices }),
    ]),
  );
  for (const [key, why] of NOT_YET)
    if (isGiven(key)) notices.push(`${key}: does not hold, ${why} in this version`);
  notices.push(...sealsNotices(file, isGiven));
  const checks = buildChecks(file.checks, limits.check);
  const hookSecrets =
    forge.webhook_secrets ?? (forge.webhook_secret ?? []).map((secret) => ({ pattern: EVERYTHING, secret }));
  const runners = buildRunners(file, base);
  const forgeSecrets = [
    ...[forge.token ?? "", forge.rights_token ?? "", login.client_secret ?? "", metrics.token ?? ""],
    ...secretsOfRunner(runners),
    ...hookSecrets.map((one) => one.secret),
  ];
  return freeze({
    file: path,
    server: { host, port, url: server.url ?? `http://${host.includes(":") ? `[${host}]` : host}:${port}` },
    forge: {
      url: forge.url ?? "",
      publicUrl: forge.public_url ?? forge.url ?? "",
      token: forge.token ?? "",
      rightsToken: forge.rights_token ?? forge.token ?? "",
      webhookSecrets: hookSecrets,
      repositories: forge.repositories,
      caFile: forge.ca_file === undefined ? null : resolve(base, forge.ca_file),
      pollMs: forge.poll,
    },
    metrics: { listen: metrics.listen ?? null, token: metrics.token ?? null },
    dataDir: resolve(base, file.data),
    missionsDir: resolve(base, file.missions),
    ...runners,
    login: {
      client:
        login.client_id === undefined || login.client_secret === undefined
          ? null
          : { id: login.client_id, secret: login.client_secret },
      sessionMs: login.session,
      allowsHttp: login.allow_http,
    },
    audit: { keepMs: audit.keep },
    directors: file.directors,
    pit: {
      scanMs: pit.scan,
      staleMs: pit.stale,
      skewMs: pit.skew,
      quietMs: pit.quiet,
      stalledMs: pit.stalled,
    },
    publish: {
      skipCi: publish.skip_ci,
      maxFileBytes: publish.max_file,
      protected: publish.protected,
      prune: publish.prune,
    },
    checks,
    container: file.container,
    uids: file.uids,
    limits: buildLimits(limits),
    agents,
    notices,
    ...gatherSecrets({ forge: forgeSecrets, checks, agents, env }),
    proxyFor: proxies(env),
    engineEnv: Object.fromEntries(
      Object.entries(env).filter(
        (pair): pair is [string, string] =>
          /^(HOME|PATH|XDG_.*|DOCKER_.*|CONTAINER_.*)$/.test(pair[0]) && pair[1] !== undefined,
      ),
    ),
    childPath:
      (env.PATH ?? "").split(delimiter).filter(isAbsolute).join(delimiter) || "/usr/local/bin:/usr/bin:/bin",
  });
}

/** Freezes objects and lists all the way down, and what a map holds. */
function freeze<T extends object>(value: T): T {
  const parts: unknown[] = value instanceof Map ? [...value.values()] : Object.values(value);
  for (const part of parts) if (typeof part === "object" && part !== null) freeze(part);
  return Object.freeze(value);
}
