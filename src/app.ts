import { join } from "node:path";
import type { Backend, BackendName } from "./backends/backend.ts";
import { LOCAL_RUNNER, reportJob } from "./cells/runner-jobs.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Config } from "./config/config.ts";
import { type Control, openControl, openParts, REGISTRY } from "./control.ts";
import { LazarusError, systemCode } from "./errors.ts";
import type { Forge } from "./gitea/port.ts";
import type { Log } from "./log.ts";
import { type Elsewhere, openElsewhere } from "./open-elsewhere.ts";
import { openRunner } from "./open-runner.ts";
import { openSeals, type Seals } from "./open-seals.ts";
import type { RunnerPort } from "./protocol/runner-port.ts";
import type { Redactor } from "./redact.ts";
import type { HeartbeatAccess } from "./runner/heartbeat-tokens.ts";
import { registryError } from "./store/db.ts";
import { type Lock, prepareDataDir, takeLock } from "./store/lock.ts";

/** What a test or the composition may put in place of the real thing. */
export interface Adapters {
  readonly clock?: Clock;
  readonly forge?: (made: Forge) => Forge;
  readonly backends?: (made: ReadonlyMap<BackendName, Backend>) => ReadonlyMap<BackendName, Backend>;
}

/** Everything at work: control and the runner `local` in one process, over one registry. */
export interface App extends Omit<Control, "drain"> {
  readonly config: Config;
  readonly log: Log;
  /** What the git gate lets through, and who has logs elsewhere; null: no runner is on another host. */
  readonly gate: Pick<Elsewhere, "master" | "holds" | "ports"> | null;
  /** The seals that it keeps besides on their runners; null: none. */
  readonly seals: Seals | null;
  readonly heartbeats: HeartbeatAccess & Pick<RunnerPort, "hear"> & Pick<Redactor, "redact">;
  stop(): Promise<void>;
}

export interface OpenOptions {
  readonly log: Log;
  readonly adapters?: Adapters;
  /** Of `log`: what is learned on the way is hidden there as well. */
  readonly redactor?: Redactor;
  /** Whether `listen` follows at once: what is started before then is told the address already. */
  readonly willListen?: boolean;
}

/**
 * Takes the lock, opens the registry, adopts what runs, and begins to work the job log off.
 * @throws LazarusError `lock-held` when another server or command line is at work on the same data.
 */
export async function openApp(config: Config, options: OpenOptions): Promise<App> {
  prepareDataDir(config.dataDir);
  const lock = takeLock(config.dataDir);
  if (lock === null) {
    throw new LazarusError(
      "lock-held",
      `using ${config.dataDir}: another lazarus is at work on it; is another serve running?`,
    );
  }
  try {
    return await compose(config, { ...options, lock });
  } catch (error) {
    lock.release();
    const isRegistry = systemCode(error)?.startsWith("SQLITE_") === true;
    throw isRegistry ? registryError(join(config.dataDir, REGISTRY), error) : error;
  }
}

async function compose(
  given: Config,
  { log, adapters = {}, lock, willListen, redactor: own }: OpenOptions & { readonly lock: Lock },
): Promise<App> {
  const parts = openParts(given, { ...adapters, log, ...(own === undefined ? {} : { redactor: own }) });
  const { redactor, queue, db } = parts;
  const { redact } = redactor;
  const clock = adapters.clock ?? systemClock;
  const seals = openSeals(parts.sealStore, { parts: { ...parts.stepDeps, steps: parts.steps, db }, log });
  const runner = await openRunner(given, {
    seals: seals?.local ?? null,
    ...{ name: LOCAL_RUNNER, clock, log, redact, learn: redactor.add, backends: adapters.backends },
    report: (report) => void queue.put(reportJob(report)),
  }).catch((error: unknown) => {
    db.close();
    throw error;
  });
  const { port, heartbeats, agents } = runner;
  const elsewhere = await openElsewhere({ ...given, agents }, { parts, log }).catch(
    async (error: unknown) => {
      await port.close();
      db.close();
      throw error;
    },
  );
  parts.elsewhere.by = elsewhere;
  parts.elsewhere.agents = elsewhere?.agents(agents) ?? agents;
  const config: Config = { ...given, agents: parts.elsewhere.agents };
  if (willListen === true && config.server.port !== 0) heartbeats.listensAt(addressOf(config.server));
  const control = await openControl(config, { parts, runner: port, log }).catch(async (error: unknown) => {
    await elsewhere?.close();
    await port.close();
    db.close();
    throw error;
  });
  seals?.start();
  return {
    ...control,
    seals,
    gate: elsewhere === null ? null : elsewhere,
    config,
    log,
    heartbeats: { ...heartbeats, hear: port.hear, redact },
    async stop() {
      seals?.stop();
      await control.drain();
      await port.close();
      db.close();
      lock.release();
    },
  };
}

/** `http://127.0.0.1:8420`. */
export function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
