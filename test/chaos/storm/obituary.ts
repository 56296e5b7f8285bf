import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { WindowName } from "./aims.ts";
import { type FleetWindow, isOfRunners } from "./fleet-aims.ts";
import { type Host, missionOf } from "./hosts.ts";
import { autopsy, type JobRow, peek } from "./peek.ts";
import type { End } from "./victim.ts";
import type { World } from "./world.ts";

/** What a kill fell into, read off what was left and not off what was aimed at. */
export interface Obituary {
  /** Kinds of the jobs that were being worked off. */
  readonly steps: readonly string[];
  readonly windows: readonly (WindowName | FleetWindow)[];
  /** What must not be, whenever Lazarus dies. */
  readonly faults: readonly string[];
}

type RunningRow = JobRow & { readonly lease: string };

interface Remains {
  readonly running: readonly RunningRow[];
  readonly cells: readonly { id: string; state: string; runner: string }[];
  readonly integrity: string;
}

export const STARTING = "starting, before any job";

/**
 * Looks at what each killed Lazarus left behind, before the next one does. What lay there already when it
 * began, because the one before was killed too, and it did not come so far as to touch it, is not counted
 * again.
 */
export class Coroner {
  readonly #world: World;
  /** Leases and names that the last one left. */
  #before = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  async examine(end: End): Promise<Obituary> {
    const world = this.#world;
    const aside = join(world.lazarus.dir, "autopsy");
    const left = autopsy(
      world.dataDir,
      aside,
      (ask): Remains => ({
        running: ask("SELECT * FROM jobs WHERE state = 'running'"),
        cells: ask("SELECT id, state, runner FROM cells"),
        integrity: Object.values(ask<Record<string, string>>("PRAGMA integrity_check")[0] ?? {})[0] ?? "",
      }),
    );
    if (left === null) return { steps: [], windows: [], faults: [] };
    const names = halfMadeOn(world.hosts[0]);
    const running = left.running.filter((job) => !this.#before.has(job.lease));
    const fresh = names.filter((name) => !this.#before.has(name));
    const isStart = running.length === 0 && left.running.length > 0;
    this.#before = new Set([...left.running.map((job) => job.lease), ...names]);
    return {
      steps: isStart ? [STARTING] : [...new Set(running.map((job) => job.kind))],
      windows: [...saidOf(end, CONTROL_SAID), ...(await windowsOf(world, end, { running, names: fresh }))],
      faults: faultsOf(world, left),
    };
  }
}

async function windowsOf(
  world: World,
  end: End,
  left: Pick<Remains, "running"> & { readonly names: readonly string[] },
): Promise<WindowName[]> {
  const found: WindowName[] = [];
  const { names } = left;
  if (end.trace.at(-1) === "committing") found.push("inside a SQLite commit");
  if (end.trace.includes("died before a 202")) found.push("delivery stored, 202 not sent");
  if (world.proxy.unheard > 0) found.push("stored by the forge, answer not heard");
  if (left.running.some((job) => job.kind === "start" && wasSpawned(world, job)))
    found.push("spawned, not written down");
  if (names.some((name) => name.startsWith(".new-"))) found.push("half a directory, being made");
  if (names.some((name) => name.startsWith(".gone-"))) found.push("half a directory, leaving");
  for (const job of left.running) {
    if (job.kind !== "push") continue;
    const { repository, branch, tip } = JSON.parse(job.payload) as {
      repository: { fullName: string };
      branch: string;
      tip: string;
    };
    if ((await world.server.branch(repository.fullName, branch)) === tip) {
      found.push("pushed, not written down");
      break;
    }
  }
  return found;
}

function wasSpawned({ hosts }: World, job: JobRow): boolean {
  const { cell, run } = JSON.parse(job.payload) as { cell: { id: string }; run: number };
  return hosts.some(({ missionsDir }) => existsSync(join(missionsDir, cell.id, "state", `run-${run}.lock`)));
}

function halfMadeOn({ missionsDir }: Host): string[] {
  return namesIn(missionsDir).filter((name) => name.startsWith("."));
}

/** What doom.mjs says where a process died at a message, and which window that is. */
const CONTROL_SAID: Readonly<Record<string, FleetWindow>> = {
  "died saying do": "job written, not sent to its runner",
  "died hearing done": "answer of a runner heard, not committed",
  "died saying forget": "answer committed, its runner not told",
};
const RUNNER_SAID: Readonly<Record<string, FleetWindow>> = {
  "died hearing do": "job heard by its runner, not begun",
  "died saying done": "job done, its runner has not said so",
  "died hearing forget": "job done and said, not forgotten",
  "died saying report": "end of a run seen, not reported",
};

function saidOf({ trace }: End, windows: Readonly<Record<string, FleetWindow>>): FleetWindow[] {
  const window = windows[trace.at(-1) ?? ""];
  return window === undefined ? [] : [window];
}

/** The same for runners: the registry is beside them, and control may be at work on it. */
export class RunnerCoroner {
  readonly #world: World;
  readonly #host: Host;
  #before = new Set<string>();

  constructor(world: World, host: Host) {
    this.#world = world;
    this.#host = host;
  }

  async examine(end: End): Promise<Obituary> {
    const rows = peek(this.#world.dataDir, (ask) =>
      ask<RunningRow>(
        `SELECT jobs.* FROM jobs JOIN cells
         ON cells.id = coalesce(json_extract(jobs.payload, '$.cell.id'), json_extract(jobs.payload, '$.cellId'))
         WHERE jobs.state = 'running' AND cells.runner = ?`,
        this.#host.name,
      ),
    );
    const running = (rows ?? []).filter((job) => isOfRunners(job.kind) && !this.#before.has(job.lease));
    const names = halfMadeOn(this.#host);
    const fresh = names.filter((name) => !this.#before.has(name));
    this.#before = new Set([...(rows ?? []).map((job) => job.lease), ...names]);
    return {
      steps: [...new Set(running.map((job) => job.kind))],
      windows: [
        ...saidOf(end, RUNNER_SAID),
        ...(await windowsOf(this.#world, { ...end, trace: [] }, { running, names: fresh })),
      ],
      faults: [],
    };
  }
}

function faultsOf(world: World, left: Remains): string[] {
  const faults: string[] = [];
  if (left.integrity !== "ok") faults.push(`the registry is damaged: ${left.integrity}`);
  for (const cell of left.cells) {
    const isActive = cell.state === "active" || cell.state === "idle";
    const meta = join(missionOf(world, cell), "meta", "mission.json");
    // One that is being destroyed leaves its directory before it is called destroyed, but is closing by then.
    if (isActive && !existsSync(meta))
      faults.push(`cell ${cell.id} is ${cell.state} and has no meta/mission.json`);
  }
  return faults;
}

export function namesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
