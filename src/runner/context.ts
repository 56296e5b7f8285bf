import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { BACKENDS, type Backend, type BackendName, type Handle } from "../backends/backend.ts";
import type { CellGroups } from "../backends/os/groups/cell-groups.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { secretsOfHome } from "../config/home-secrets.ts";
import { LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { SealPlace } from "../protocol/seal-place.ts";
import { CommandWatch } from "./commands/command-watch.ts";
import { workLimits as limitsOfWork, type WorkLimits } from "./confined.ts";
import { createGates, type Gates } from "./gates.ts";
import { createGit, type Git } from "./git/git.ts";
import { createMirrors, type Mirrors } from "./git/mirror.ts";
import { createQuarantine, type Quarantine } from "./git/quarantine.ts";
import { type Say, Watch } from "./health/watch.ts";
import type { HeartbeatAccess } from "./heartbeat-tokens.ts";
import { createSpares, type Spares } from "./spares.ts";

export interface RunnerDeps {
  /** Whose cells are meant: `cells.runner`. */
  readonly name: string;
  readonly config: Pick<
    Config,
    | "dataDir"
    | "missionsDir"
    | "forge"
    | "agents"
    | "checks"
    | "limits"
    | "publish"
    | "pit"
    | "secrets"
    | "envSecrets"
    | "childPath"
    | "proxyFor"
  >;
  /** Whether Lazarus is root, and cells run as users of their own. */
  readonly asRoot: boolean;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  readonly groups: CellGroups;
  readonly clock: Clock;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** One more secret, which is hidden from now on. */
  readonly learn: (secret: string) => void;
  /** With what git goes to the forge, where that is not the same for all: the passes of a git gate. */
  readonly tokenFor?: (args: readonly string[]) => string;
  /** Where control keeps seals besides here; absent or null: nowhere. */
  readonly seals?: SealPlace | null;
  /** Where agents send heartbeats to, and what with. */
  readonly heartbeats: Pick<HeartbeatAccess, "environmentOf" | "markOf">;
  /**
   * Says what is seen without a job that asked for it, such as the end of a run. It is said again where this
   * throws.
   */
  readonly report: Say;
}

/** Of what a pull request brings, which is little beside the branches. */
const FETCH_MS = 15 * 60_000;

/** What the runner's handlers share. */
export interface Parts extends RunnerDeps {
  readonly git: Git;
  readonly workLimits: WorkLimits;
  /** A directory of ours where git finds no configuration. */
  readonly gitHome: string;
  readonly mirrors: Mirrors;
  readonly spares: Spares;
  readonly quarantine: Quarantine;
  readonly watch: Watch;
  /** Setups and checks at work. */
  readonly commands: CommandWatch;
  readonly gates: Gates;
  /** Secrets that are known since the start. */
  readonly learned: ReadonlySet<string>;
  /** To be called before and after a template becomes a home: it may have changed since it was read. */
  learnHome(template: string | null): void;
  cellDir(cellId: string): string;
}

/**
 * Wires git, mirrors, quarantine and watch to one configuration. Makes `<data>/git-home` and
 * `<data>/mirrors`.
 */
export function createParts(deps: RunnerDeps): Parts {
  const { config, clock, log, backends, report, redact } = deps;
  const gitHome = join(config.dataDir, "git-home");
  mkdirSync(gitHome, { recursive: true, mode: 0o700 });
  const mirrorsDir = join(config.dataDir, "mirrors");
  mkdirSync(mirrorsDir, { recursive: true, mode: 0o700 });
  // To be passed through on the way to a mirror that a group may read.
  if (deps.asRoot) chmodSync(mirrorsDir, 0o711);
  const proxy = config.proxyFor(new URL(config.forge.url));
  const proxyEnv: Record<string, string> = proxy === null ? {} : { http_proxy: proxy, https_proxy: proxy };
  const token = deps.tokenFor ?? config.forge.token;
  const remote = { url: config.forge.url, token, caFile: config.forge.caFile, proxyEnv };
  const workLimits = limitsOfWork(config.limits);
  const git = createGit({ home: gitHome, path: config.childPath, remote, redact, limits: workLimits });
  const cellDir = (cellId: string) => join(config.missionsDir, cellId);
  const gates = createGates({ cellDir, log });
  const watch = new Watch({
    clock,
    log,
    backends,
    groups: deps.groups,
    cellDir,
    limitsOf: (name) => {
      const agent = config.agents.get(name);
      if (agent !== undefined) return { ...agent.limits, healthUrl: agent.healthUrl, preset: agent.preset };
      const { quietMs, stalledMs } = config.pit;
      const { runMs } = config.limits;
      return { runMs, logBytes: Number.POSITIVE_INFINITY, quietMs, stalledMs, healthUrl: null, preset: null };
    },
    graceMs: config.limits.graceMs,
    scanMs: config.pit.scanMs,
    diskBytes: config.limits.diskBytes,
    closeGate: (cellId) => gates.close(cellId),
    redact,
    report,
  });
  const learned = new Set<string>();
  const learnHome = (template: string | null) => {
    for (const secret of secretsOfHome(template)) {
      if (config.secrets.includes(secret) || learned.has(secret)) continue;
      learned.add(secret);
      deps.learn(secret);
    }
  };
  const mirrors = createMirrors({ dir: mirrorsDir, forgeUrl: config.forge.url, git, mostMs: FETCH_MS });
  const { missionsDir, childPath, limits } = config;
  const spares = createSpares({
    ...{ git, childPath, missionsDir, mirrors, clock, log },
    ...{ diskBytes: limits.diskBytes, limits: workLimits, room: limits },
  });
  return {
    ...deps,
    spares,
    workLimits,
    git,
    gitHome,
    cellDir,
    learned,
    learnHome,
    watch,
    commands: new CommandWatch({ ...deps, cellDir, gates }),
    gates,
    mirrors,
    quarantine: createQuarantine({
      dir: join(config.dataDir, "quarantine"),
      git,
      bigFileBytes: config.publish.maxFileBytes,
      skipCi: config.publish.skipCi,
    }),
  };
}

const handleShape = z.object({
  backend: z.enum(BACKENDS),
  cellId: z.string(),
  run: z.number(),
  bootId: z.string(),
  pid: z.number(),
  startTicks: z.number(),
  stateDir: z.string(),
  startedAt: z.number(),
  uid: z.number().nullable().optional(),
  oomKills: z.number().nullable().optional(),
  groupOomKills: z.number().nullable().optional(),
});

/** A handle as it comes out of a job or the registry. Throws LazarusError `internal` where it is none. */
export function parseHandle(value: Record<string, unknown> | null): Handle | null {
  if (value === null) return null;
  const parsed = handleShape.safeParse(value);
  if (!parsed.success)
    throw new LazarusError("internal", "a job holds a handle that is none", { cause: parsed.error });
  return parsed.data;
}

/** The backend of an agent or a handle. */
export function backendNamed(parts: Pick<Parts, "backends">, name: BackendName): Backend {
  const backend = parts.backends.get(name);
  if (backend === undefined) throw new LazarusError("backend", `there is no backend ${name} here`);
  return backend;
}
