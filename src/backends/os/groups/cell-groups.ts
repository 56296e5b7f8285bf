import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { explain, LazarusError } from "../../../errors.ts";
import { sha256 } from "../../../hash.ts";
import type { BackendCheck, Surroundings } from "../../backend.ts";
import { readStat } from "../proc.ts";
import { quoted } from "../shell-text.ts";
import {
  cameToLimit,
  groupsIn,
  killGroup,
  limitGroup,
  membersOf,
  oomKillsIn,
  removeGroup,
} from "./group-files.ts";
import type { Hierarchy } from "./hierarchies.ts";

type Limited = Pick<Surroundings, "cellId" | "limits">;

/** What the kernel killed of a cell for lack of memory, since its groups are there. */
export interface MemoryKills {
  readonly kills: number;
  /** Whether the cell came to its own limit; else the machine had no more. */
  readonly isOwnLimit: boolean;
}

/** Control groups, one for each cell: what holds all of its processes together. */
export interface CellGroups {
  /** What holds here, or why nothing does. */
  readonly check: BackendCheck;
  /**
   * Makes the cell's group and answers the shell lines by which a process enters it, or ends with 73. It
   * stays until `remove`.
   * @throws LazarusError `backend` where it cannot be made.
   */
  enter(cell: Limited): string;
  /** The same for something short; a group that was made for it alone goes with it. */
  during<T>(cell: Limited, work: (enter: string) => Promise<T>): Promise<T>;
  isThere(cellId: string): boolean;
  members(cellId: string): ReadonlySet<number>;
  /** Kills all that is in the cell's group. */
  kill(cellId: string): void;
  /** Of its present run, or of its last; null where no group counted. */
  memoryKills(cellId: string): MemoryKills | null;
  /**
   * Removes the cell's group once its run is over; one that still holds processes stays until the next time,
   * or the next sweep. What it counted is known until `forget`.
   */
  remove(cellId: string): Promise<void>;
  forget(cellId: string): void;
  /** Removes what earlier processes of ours left of cells that are not known, with what lives in it. */
  sweep(knownIds: ReadonlySet<string>): Promise<void>;
}

const WITHOUT: BackendCheck = {
  ok: false,
  why: "control groups were not looked for",
  fix: "start serve",
};

/** Where there are none: nothing is limited by them. */
export function noGroups(check: BackendCheck = WITHOUT): CellGroups {
  return {
    check,
    enter: () => "",
    during: (_cell, work) => work(""),
    isThere: () => false,
    members: () => new Set(),
    kill: () => {},
    memoryKills: () => null,
    remove: async () => {},
    forget: () => {},
    sweep: async () => {},
  };
}

const REMOVE_TRIES = 40;
const REMOVE_PAUSE_MS = 25;
const CELL = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RECORD = "control-groups.json";

/**
 * The groups of one Lazarus below these hierarchies. Where groups were ever made is written down in its data
 * directory, so that another start finds them wherever it is itself.
 */
export function cellGroups(hierarchies: readonly Hierarchy[], dataDir: string, note: string): CellGroups {
  const prefix = `lazarus-${sha256(dataDir).slice(0, 8)}-`;
  // What is no cell's belongs to this process alone.
  const nameOf = (cellId: string) => prefix + (CELL.test(cellId) ? cellId : `${cellId}.${process.pid}`);
  const bases = recordBases(
    hierarchies.map((one) => one.dir),
    dataDir,
  );
  const users = new Map<string, number>();
  const kept = new Set<string>();
  /** Of groups that are gone. */
  const counted = new Map<string, MemoryKills>();
  const everywhere = (name: string) => bases.map((dir) => join(dir, name)).filter((dir) => existsSync(dir));
  const membersNamed = (name: string) => new Set(everywhere(name).flatMap(membersOf));

  const make = ({ cellId, limits }: Limited): string => {
    const name = nameOf(cellId);
    const isEmpty = membersNamed(name).size === 0;
    const dirs = hierarchies.map((one) => ({ ...one, dir: join(one.dir, name) }));
    try {
      for (const one of dirs) {
        mkdirSync(one.dir, { recursive: true });
        if (isEmpty) limitGroup(one.dir, one, limits);
      }
    } catch (cause) {
      throw new LazarusError("backend", `making the control group of cell ${cellId}`, {
        retryable: true,
        cause,
      });
    }
    return enterText(dirs.map((one) => one.dir));
  };
  /** What was killed in it may take a moment to be gone; what lives keeps it. */
  const removeNamed = async (name: string, isKilled = false): Promise<boolean> => {
    for (let tries = 0; tries < REMOVE_TRIES; tries++) {
      if (everywhere(name).every(removeGroup)) return true;
      if (!isKilled && membersNamed(name).size > 0 && tries > 0) return false;
      await pause(REMOVE_PAUSE_MS);
    }
    return false;
  };
  const kill = (name: string) => {
    for (const dir of everywhere(name)) killGroup(dir);
  };
  return {
    check: { ok: true, note },
    enter(cell) {
      kept.add(nameOf(cell.cellId));
      counted.delete(cell.cellId);
      return make(cell);
    },
    async during(cell, work) {
      const name = nameOf(cell.cellId);
      users.set(name, (users.get(name) ?? 0) + 1);
      try {
        return await work(make(cell));
      } finally {
        const left = (users.get(name) ?? 0) - 1;
        if (left > 0) users.set(name, left);
        else users.delete(name);
        // A run that an earlier process of ours started is still in it, and so it stays.
        if (left <= 0 && !kept.has(name)) await removeNamed(name);
      }
    },
    isThere: (cellId) => everywhere(nameOf(cellId)).length > 0,
    members: (cellId) => membersNamed(nameOf(cellId)),
    kill: (cellId) => kill(nameOf(cellId)),
    memoryKills: (cellId) => counted.get(cellId) ?? memoryKillsIn(everywhere(nameOf(cellId))),
    async remove(cellId) {
      const kills = memoryKillsIn(everywhere(nameOf(cellId)));
      kept.delete(nameOf(cellId));
      if (!(await removeNamed(nameOf(cellId)))) return;
      if (kills !== null) counted.set(cellId, kills);
    },
    forget: (cellId) => void counted.delete(cellId),
    async sweep(knownIds) {
      const names = new Set(bases.flatMap(groupsIn).filter((name) => name.startsWith(prefix)));
      for (const name of names) {
        if (!isLeft(name.slice(prefix.length), knownIds)) continue;
        kill(name);
        await removeNamed(name, true);
      }
    },
  };
}

function memoryKillsIn(dirs: readonly string[]): MemoryKills | null {
  const counts = dirs.map(oomKillsIn).filter((count) => count !== null);
  if (counts.length === 0) return null;
  return { kills: counts.reduce((all, one) => all + one, 0), isOwnLimit: dirs.some(cameToLimit) };
}

/** `check.4711` belongs to a process; whatever else there is to a cell. */
function isLeft(id: string, knownIds: ReadonlySet<string>): boolean {
  const pid = /\.(\d+)$/.exec(id)?.[1];
  return pid === undefined ? !knownIds.has(id) : readStat(Number(pid)) === null;
}

/** Writing 0 moves whoever writes. */
function enterText(dirs: readonly string[]): string {
  if (dirs.length === 0) return "";
  const each = dirs.map((dir) => `echo 0 >${quoted(join(dir, "cgroup.procs"))}`);
  return `{ ${each.join(" && ")}; } || { echo 'lazarus: its control group could not be entered, nothing was started' >&2; exit 73; }\n`;
}

const recordShape = z.array(z.string());

/** All directories that ever held groups of ours and are there, the present ones among them. */
function recordBases(now: readonly string[], dataDir: string): string[] {
  const path = join(dataDir, RECORD);
  let before: string[] = [];
  try {
    before = recordShape.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // None was written yet.
  }
  const all = [...new Set([...now, ...before.filter((dir) => existsSync(dir))])];
  if (existsSync(dataDir) && all.some((dir) => !before.includes(dir))) {
    try {
      writeFileSync(path, `${JSON.stringify(all)}\n`, { mode: 0o600 });
    } catch (error) {
      throw new LazarusError("backend", `writing ${basename(path)} in ${dataDir}: ${explain(error)}`);
    }
  }
  return all;
}
