import { agentsEverywhere, isOnlyNamed } from "./agents-elsewhere.ts";
import { watchedBy } from "./cells/adoption.ts";
import type { Cell, Run } from "./cells/cell.ts";
import { choosePlace, type Host, hostOf, isPlaced, type Place } from "./cells/placing.ts";
import type { Registry } from "./cells/registry/registry.ts";
import type { RunnerRow } from "./cells/registry/runners.ts";
import type { Uids } from "./cells/registry/uids.ts";
import { LOCAL_RUNNER, reportJob } from "./cells/runner-jobs.ts";
import { mayMove } from "./cells/stored-seal.ts";
import type { Clock } from "./clock.ts";
import type { AgentConfig, Config } from "./config/config.ts";
import { explain } from "./errors.ts";
import { openKeyFile } from "./key-file.ts";
import type { Log } from "./log.ts";
import type { AnyReport } from "./protocol/reports.ts";
import { notWatched, type RunnerPort } from "./protocol/runner-port.ts";
import type { Queue } from "./queue/queue.ts";
import { writePolicy } from "./runner/policy.ts";
import type { Db } from "./store/db.ts";
import { askRedis, connect } from "./transport/bullmq.ts";
import { type PassRights, passesOf } from "./transport/git-pass.ts";
import { runnerKey, wayKeys } from "./transport/keys.ts";
import type { Post } from "./transport/post.ts";
import { aboutRedis } from "./transport/redis-words.ts";
import type { RemotePort, RemotePortOptions, RemoteState } from "./transport/remote-options.ts";
import { remotePort } from "./transport/remote-port.ts";
import { sealPassOf } from "./transport/seal-pass.ts";
import { formatDuration } from "./units.ts";

export const RUNNERS_KEY = "runners.key";
export const LOST_KEY = "every runner needs a new join line (lazarus runner rotate NAME)";
/** After a rotation the key before holds for so long. */
const OLD_KEY_MS = 60 * 60_000;
const LOOK_MS = 1_000;
/** What is at work is read for all runners at once, and holds for so long. */
const AT_WORK_MS = 10_000;
const REGISTRY_ID = "registry id";
const EPOCH = "epoch of control";

/** The parts of control that runners elsewhere are told of, and heard with. */
export interface ElsewhereParts {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly queue: Queue;
  readonly db: Db;
  readonly uids: Uids;
  readonly asRoot: boolean;
}

/** What was heard of a runner, or no more. */
type Heard = Parameters<RemotePortOptions["changed"]>[1];

/** Runners on other hosts, as control sees them. */
export interface Elsewhere {
  /** By name; it changes as runners are added and forgotten. */
  readonly ports: ReadonlyMap<string, RunnerPort>;
  /** Begins to hear them. `changed`: one joined, is heard no more, or has places again. */
  start(on: { readonly changed: (name: string, what: Heard) => void }): void;
  /** Why a runner cannot be heard, in words; null: it is heard. */
  silence(name: string): string | null;
  /** Where a run goes. */
  place(cell: Cell, run: Run): Place;
  /** Nobody waits any more for what a runner does with a cell that left it. */
  left(cellId: string, from: string): void;
  /** The agents that can be summoned, wherever they run. */
  agents(local: ReadonlyMap<string, AgentConfig>): ReadonlyMap<string, AgentConfig>;
  /** The secret that passes of the git gate are marked with. */
  readonly master: Uint8Array;
  holds(pass: Pick<PassRights, "runner" | "row" | "attempt">): boolean;
  /** Why some cannot be reached; empty where all is well. */
  notReady(): string[];
  close(): Promise<void>;
}

/** What runners and control name their queues after, made once. */
export function queuePrefix(
  config: Pick<Config, "queue">,
  { registry }: Pick<ElsewhereParts, "registry">,
): string {
  if (config.queue !== "local" && config.queue.prefix !== null) return config.queue.prefix;
  const known = registry.rememberedText(REGISTRY_ID);
  const id = known ?? crypto.randomUUID().slice(0, 8);
  if (known === null) registry.rememberText(REGISTRY_ID, id);
  return `lz:${id}`;
}

/** Null where everything is done in this process. */
export async function openElsewhere(
  config: Config,
  { parts, log }: { readonly parts: ElsewhereParts; readonly log: Log },
): Promise<Elsewhere | null> {
  if (config.queue === "local") return null;
  const { registry, clock, queue, db, uids, asRoot } = parts;
  const master = openKeyFile(config.dataDir, RUNNERS_KEY, LOST_KEY);
  const prefix = queuePrefix(config, parts);
  const wire = { ...config.queue, prefix, log };
  const post = await connect(wire);
  askRedis(wire).then(
    (facts) => {
      for (const what of aboutRedis(facts))
        log.warn({ redis: wire.host }, `about the Redis of queue: ${what}`);
    },
    (error: unknown) =>
      log.warn({ why: explain(error) }, "Redis does not answer; what is done on this host goes on"),
  );
  const epoch = nextEpoch(parts);
  const ports = new Map<string, RemotePort>();
  const localSlots = config.runner.slots ?? config.limits.cells;
  const policy = writePolicy(config);
  let told: (name: string, what: Heard) => void = () => {};

  // What begins meanwhile is said when it begins.
  let seen = { at: Number.NEGATIVE_INFINITY, runs: registry.runners.atWork() };
  const atWork = () => {
    if (clock.monotonic() - seen.at > AT_WORK_MS)
      seen = { at: clock.monotonic(), runs: registry.runners.atWork() };
    return seen.runs;
  };

  const silenceOf = (row: RunnerRow): string | null => {
    const state = ports.get(row.name)?.state();
    if (state === undefined || row.facts === null) return "it has not joined yet";
    if (state.isHere) return null;
    const since = row.heardAt === null ? null : clock.now() - row.heardAt;
    return since === null
      ? "it has not joined yet"
      : `${row.name} has not been heard for ${formatDuration(Math.max(1_000, Math.floor(since / 1_000) * 1_000))}`;
  };

  function open(row: RunnerRow): void {
    const { name } = row;
    const keyAt = (generation: number) => {
      const now = registry.runners.one(name);
      if (now === null || now.forgottenAt !== null) return null;
      const isOld =
        generation === now.generation - 1 &&
        now.rotatedAt !== null &&
        clock.now() - now.rotatedAt < OLD_KEY_MS;
      return generation === now.generation || isOld ? wayKeys(runnerKey(master, name, generation)) : null;
    };
    const cache = new Map<number, { readonly at: number; readonly keys: ReturnType<typeof keyAt> }>();
    const keys = (generation: number) => {
      const known = cache.get(generation);
      if (known !== undefined && clock.monotonic() - known.at < LOOK_MS) return known.keys;
      const fresh = keyAt(generation);
      cache.clear();
      cache.set(generation, { at: clock.monotonic(), keys: fresh });
      return fresh;
    };
    let spoken = row.generation;
    const port = remotePort({
      ...{ name, post, epoch, clock, log },
      keyTo: (generation) => keys(generation)?.to ?? null,
      keyFrom(generation) {
        const found = keys(generation)?.from ?? null;
        // It is answered with the key that it has.
        if (found !== null) spoken = generation;
        return found;
      },
      generation: () => spoken,
      lastIncarnation: row.incarnation,
      welcome: () => ({
        knownIds: registry.runners.cellsOf(name),
        watched: watchedBy(name, parts, { atWork: registry.runners.atWorkOn(name) }),
        policy,
      }),
      unwatched: (known) =>
        notWatched(watchedBy(name, parts, { known, atWork: atWork().get(name) ?? [] }), known),
      passesFor: (job) => ({
        passes: passesOf(master, name, job, clock.now()),
        sealPass: sealPassOf(master, name, job, clock.now()),
      }),
      isAtWork: (id, attempt) => queue.attemptAtWork(id) === attempt,
      isOurs: (cellId) => registry.cell(cellId)?.runner === name,
      report: (reports: readonly AnyReport[]) =>
        db.transaction(() => {
          for (const report of reports) queue.put(reportJob(report));
        }),
      changed: (state, what) => note(name, state, what),
    });
    ports.set(name, port);
  }

  function note(name: string, state: RemoteState, what: Heard): void {
    const trouble = troubleOf(state);
    db.transaction(() => {
      const before = registry.runners.one(name);
      if (before === null) return;
      const { incarnation, facts, standing } = state;
      const heard = what === "gone" ? {} : { heardAt: clock.now() };
      registry.runners.update(name, { incarnation, facts, standing, trouble, ...heard });
    });
    if (what !== "beat" || state.standing?.full === null) told(name, what);
  }

  function look(): void {
    const rows = registry.runners.list();
    for (const row of rows) if (!ports.has(row.name)) open(row);
    const names = new Set(rows.map((row) => row.name));
    for (const [name, port] of ports) {
      if (names.has(name)) continue;
      ports.delete(name);
      port.giveUp(`the runner ${name} was given up`);
      void port.close();
      told(name, "gone");
    }
  }

  function localHost(cell: Cell, taken: ReadonlyMap<string, number>): Host {
    const agents = config.agents;
    const isShort = asRoot && cell.runner === LOCAL_RUNNER && uids.of(cell.id) === null;
    return {
      name: LOCAL_RUNNER,
      closed: null,
      closedToNew: isShort ? "no user is left for another cell (uids)" : null,
      slots: localSlots,
      busy: taken.get(LOCAL_RUNNER) ?? 0,
      labels: config.runner.labels,
      unfit: (agent) => {
        const known = agents.get(agent);
        return known === undefined || isOnlyNamed(known) ? `has no agent ${agent}` : known.unavailable;
      },
      canFetch: true,
      hasMirror: () => false,
      hasTree: () => false,
    };
  }

  const hosts = (cell: Cell): Host[] => {
    const taken = registry.places.load().runners;
    const others = registry.runners
      .list()
      .map((row) => hostOf(row, { silence: silenceOf(row), busy: taken.get(row.name) ?? 0 }));
    return [localHost(cell, taken), ...others];
  };

  for (const row of registry.runners.list()) open(row);
  let cancel = () => {};
  return {
    ports,
    master,
    silence(name) {
      const row = registry.runners.one(name);
      return row === null ? `there is no runner ${name}` : silenceOf(row);
    },
    start({ changed }) {
      told = changed;
      const again = () => {
        cancel = clock.after(LOOK_MS, () => {
          try {
            look();
          } catch (error) {
            log.error({ why: explain(error) }, "looking after the runners failed; trying again");
          }
          again();
        });
      };
      again();
    },
    place(cell, run) {
      const agent = config.agents.get(run.agent);
      return choosePlace(hosts(cell), {
        agent: run.agent,
        runsOn: agent?.runsOn ?? [],
        repositoryId: cell.repository.id,
        on: isPlaced(cell, run) ? cell.runner : null,
        isStored: mayMove(cell),
      });
    },
    left: (cellId, from) => ports.get(from)?.leave(cellId),
    agents: (local) =>
      agentsEverywhere(local, { rows: () => registry.runners.list(), hasLocal: localSlots > 0 }),
    holds: ({ runner, row, attempt }) => ports.has(runner) && queue.attemptAtWork(row) === attempt,
    notReady: () => {
      const why = (post as Post).trouble();
      return why === null ? [] : [why];
    },
    async close() {
      cancel();
      await Promise.all([...ports.values()].map((port) => port.close()));
      await post.close();
    },
  };
}

function nextEpoch({ registry, clock }: Pick<ElsewhereParts, "registry" | "clock">): number {
  const epoch = Math.max(Number(registry.rememberedText(EPOCH) ?? 0) + 1, clock.now());
  registry.rememberText(EPOCH, String(epoch));
  return epoch;
}

function troubleOf({ isDoubled }: RemoteState): string | null {
  return isDoubled ? "two processes say that they are this runner: end one, or rotate its key" : null;
}
