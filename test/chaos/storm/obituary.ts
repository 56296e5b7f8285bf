import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { WindowName } from "./aims.ts";
import { autopsy, type JobRow } from "./peek.ts";
import type { End } from "./victim.ts";
import type { World } from "./world.ts";

/** What a kill fell into, read off what was left and not off what was aimed at. */
export interface Obituary {
  /** Kinds of the jobs that were being worked off. */
  readonly steps: readonly string[];
  readonly windows: readonly WindowName[];
  /** What must not be, whenever Lazarus dies. */
  readonly faults: readonly string[];
}

interface Remains {
  readonly running: readonly (JobRow & { lease: string })[];
  readonly cells: readonly { id: string; state: string }[];
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
        cells: ask("SELECT id, state FROM cells"),
        integrity: Object.values(ask<Record<string, string>>("PRAGMA integrity_check")[0] ?? {})[0] ?? "",
      }),
    );
    if (left === null) return { steps: [], windows: [], faults: [] };
    const names = namesIn(world.missionsDir).filter((name) => name.startsWith("."));
    const running = left.running.filter((job) => !this.#before.has(job.lease));
    const fresh = names.filter((name) => !this.#before.has(name));
    const isStart = running.length === 0 && left.running.length > 0;
    this.#before = new Set([...left.running.map((job) => job.lease), ...names]);
    return {
      steps: isStart ? [STARTING] : [...new Set(running.map((job) => job.kind))],
      windows: await windowsOf(world, end, { running, names: fresh }),
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

function wasSpawned(world: World, job: JobRow): boolean {
  const { cell, run } = JSON.parse(job.payload) as { cell: { id: string }; run: number };
  return existsSync(join(world.missionsDir, cell.id, "state", `run-${run}.lock`));
}

function faultsOf(world: World, left: Remains): string[] {
  const faults: string[] = [];
  if (left.integrity !== "ok") faults.push(`the registry is damaged: ${left.integrity}`);
  for (const cell of left.cells) {
    const isActive = cell.state === "active" || cell.state === "idle";
    const meta = join(world.missionsDir, cell.id, "meta", "mission.json");
    // One that is being destroyed leaves its directory before it is called destroyed, but is closing by then.
    if (isActive && !existsSync(meta))
      faults.push(`cell ${cell.id} is ${cell.state} and has no meta/mission.json`);
  }
  return faults;
}

export function namesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
