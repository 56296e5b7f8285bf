import { watchCheckStarted, watchStarted } from "./cells/adoption.ts";
import { createDirectoryReports } from "./cells/reports/directory-reports.ts";
import { createRounds, type Rounds } from "./cells/rounds.ts";
import type { StepDeps } from "./cells/steps/deps.ts";
import { moveWaiting } from "./cells/steps/move-waiting.ts";
import { sealJobs } from "./cells/steps/seal-jobs.ts";
import type { Steps } from "./cells/steps/steps.ts";
import { toClockTime } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Elsewhere, ElsewhereParts } from "./open-elsewhere.ts";
import type { RunnerPort } from "./protocol/runner-port.ts";
import { createSemaphore } from "./semaphore.ts";

type StartedThing =
  | { readonly cellId: string; readonly run: number }
  | { readonly cellId: string; readonly check: number };

/** All runners, the one of this process and those on other hosts. */
export interface Fleet {
  get(name: string): RunnerPort | undefined;
  /** Has what a runner reported as begun watched there. */
  watchStarted(what: StartedThing): void;
  /** Compares what lies on each one's disk with the registry. */
  look(): void;
  stop(): Promise<void>;
}

export interface FleetDeps {
  readonly local: RunnerPort;
  readonly elsewhere: Elsewhere | null;
  readonly parts: ElsewhereParts & { readonly steps: Steps; readonly stepDeps: StepDeps };
  readonly log: Log;
}

/** So many runners elsewhere are asked at one time what lies on their disks. */
const LOOKS_AT_ONCE = 10;

/** From here on runners elsewhere are heard. */
export function createFleet({ local, elsewhere, parts, log }: FleetDeps): Fleet {
  const { registry, steps, clock } = parts;
  const get = (name: string) => (name === local.name ? local : elsewhere?.ports.get(name));
  const rounds = new Map<string, Rounds>();
  const roundsOf = (port: RunnerPort): Rounds => {
    const known = rounds.get(port.name);
    if (known !== undefined) return known;
    // By its name: a runner that was forgotten and added anew has another port.
    const runner = {
      name: port.name,
      inventory: (how: Parameters<RunnerPort["inventory"]>[0]) => (get(port.name) ?? port).inventory(how),
    };
    // A runner that was forgotten is here again, with its old disk: what was given up on it ends, and goes.
    const found = (id: string) => {
      const { repository } = registry.mustCell(id);
      const run = registry.lastRun(id)?.n ?? 0;
      const key = `${id}:found:${port.name}:${registry.runners.one(port.name)?.generation ?? 0}`;
      if (port.name === local.name) return;
      parts.queue.put(sealJobs.letGo({ id, repository, runner: port.name }, run, key));
    };
    const directories = createDirectoryReports({ registry, runner: port.name, steps, log, found });
    const made = createRounds({ directories, runner, clock, log });
    rounds.set(port.name, made);
    return made;
  };

  const slots = createSemaphore(LOOKS_AT_ONCE);
  const stopped = new AbortController();
  const inLine = new Set<string>();
  /** In its turn: the answers of a thousand runners at once would hold up the signs of life of all. */
  const lookThere = (port: RunnerPort): void => {
    const { name } = port;
    if (inLine.has(name)) return;
    inLine.add(name);
    void slots(() => roundsOf(port).look(), stopped.signal).finally(() => inLine.delete(name));
  };

  /** Tells on the cards of a runner's cells that it is away, and when that is over. */
  const tellTrouble = (name: string): void => {
    const row = registry.runners.one(name);
    const isAway = elsewhere !== null && elsewhere.silence(name) !== null && row?.heardAt != null;
    const trouble = isAway
      ? `its runner ${name} has not been heard since ${toClockTime(row?.heardAt ?? 0)}`
      : null;
    for (const id of registry.runners.notTold(name, trouble)) {
      registry.update(id, { runnerTrouble: trouble });
      steps.card(id);
    }
  };

  elsewhere?.start({
    changed: (name, what) =>
      registry.transaction(() => {
        // A sign of life after others changes nothing but what is free there.
        if (what !== "beat") tellTrouble(name);
        if (elsewhere.silence(name) !== null) moveWaiting(parts.stepDeps, name);
        steps.admitWaiting();
      }),
  });

  return {
    get,
    watchStarted(what) {
      const port = get(registry.mustCell(what.cellId).runner);
      if (port === undefined) return;
      if ("check" in what) watchCheckStarted(port, parts, what);
      else watchStarted(port, parts, what);
    },
    look() {
      void roundsOf(local).look();
      for (const port of elsewhere?.ports.values() ?? []) lookThere(port);
      for (const name of elsewhere?.ports.keys() ?? []) registry.transaction(() => tellTrouble(name));
    },
    async stop() {
      stopped.abort();
      await Promise.all([...rounds.values()].map((one) => one.stop()));
    },
  };
}
