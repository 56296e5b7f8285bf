import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readSync,
  type Stats,
} from "node:fs";
import { STATES, type State } from "../../cells/cell.ts";
import { systemCode } from "../../errors.ts";
import { formatAge, formatDuration } from "../../units.ts";

/**
 * How a cell's directory looks to somebody who knows nothing of the registry: the classes of mission-cell.md.
 */
export const PIT_CLASSES = ["healthy", "stale", "incomplete", "uninitialized"] as const;
export type PitClass = (typeof PIT_CLASSES)[number];

/** What one look at a cell's directory came to. */
export interface Look {
  readonly class: PitClass;
  /** Why, for people: one line without anything that came out of a file. */
  readonly reason: string;
  /**
   * Age of the heartbeat in seconds, negative where it is from the future; null where there is none to be
   * read.
   */
  readonly ageSeconds: number | null;
}

/** When a heartbeat is too old, and how far from the future it may be; milliseconds. */
export interface Tolerance {
  readonly staleMs: number;
  readonly skewMs: number;
}

/** The ten paths of the contract, in its order. */
export const CONTRACT = {
  directories: ["meta", "config", "state", "logs", "artifacts", "worktree"],
  files: ["meta/mission.json", "config/cell.json", "state/heartbeat.json", "logs/daemon.log"],
} as const;

/** States in which somebody must be at work, and say so. */
const NEED_A_HEARTBEAT: readonly State[] = ["active", "closing"];
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const LARGEST_BYTES = 4_000_000;
const USUAL_BYTES = 64 * 1024;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

/**
 * Looks at one cell; null where there is no directory any more. It never throws, follows no link and waits
 * for nobody.
 */
export type LookAtCell = (cellDir: string, id: string, now: number) => Look | null;

/** Makes what looks at cells; it keeps one buffer for all the files it reads. */
export function createLook({ staleMs, skewMs }: Tolerance): LookAtCell {
  const mayRead = readableBy();
  const buffer = Buffer.allocUnsafe(USUAL_BYTES);

  return (cellDir, id, now) => {
    const faults: Faults = { missing: [], wrong: [] };
    const lookAt = (path: string, isRight: (stat: Stats) => boolean, right: string): boolean => {
      try {
        const stat = lstatSync(`${cellDir}/${path}`, { throwIfNoEntry: false });
        if (stat === undefined) faults.missing.push(path);
        else if (!isRight(stat)) faults.wrong.push(`${path} is ${kindOf(stat)}, not ${right}`);
        else if (!mayRead(stat)) faults.wrong.push(`${path} may not be read`);
        else return true;
      } catch (error) {
        noteError(faults, path, error);
      }
      return false;
    };
    const has: Record<string, boolean> = {};
    for (const path of CONTRACT.directories) has[path] = lookAt(path, isDirectory, "a directory");
    // What lies in something that is no directory of ours is not looked at: it would be somebody else's.
    const mission = readDocument(cellDir, "meta/mission.json", { isThere: has.meta, faults, buffer });
    if (has.config) lookAt("config/cell.json", isFile, "a file");
    else passOver(faults, "config/cell.json");
    const heartbeat = readDocument(cellDir, "state/heartbeat.json", { isThere: has.state, faults, buffer });
    if (has.logs) lookAt("logs/daemon.log", isFile, "a file");
    else passOver(faults, "logs/daemon.log");

    const status = statusOf(mission, id, faults.wrong);
    const at = beatOf(heartbeat, faults.wrong);
    const ageSeconds = at === null ? null : Math.trunc((now - at) / 1000);
    if (faults.missing.length > 0 || faults.wrong.length > 0) return incomplete(cellDir, faults, ageSeconds);
    if (status === null || at === null) return null;
    if (!NEED_A_HEARTBEAT.includes(status))
      return { class: "healthy", reason: `${status} needs no heartbeat`, ageSeconds };
    const age = now - at;
    if (-age > skewMs) {
      const reason = `the heartbeat is ${formatAge(-age)} from the future, ${formatDuration(skewMs)} are tolerated`;
      return { class: "stale", reason, ageSeconds };
    }
    if (age >= staleMs)
      return { class: "stale", reason: `${status}, and no heartbeat for ${formatAge(age)}`, ageSeconds };
    return {
      class: "healthy",
      reason: `${status}, heartbeat ${formatAge(Math.max(0, age))} ago`,
      ageSeconds,
    };
  };
}

/** What of the contract is not there, and what is there and wrong. */
interface Faults {
  readonly missing: string[];
  readonly wrong: string[];
}

const isDirectory = (stat: Stats) => stat.isDirectory();
const isFile = (stat: Stats) => stat.isFile();

/**
 * By the mode alone: asking the kernel again for each path would double the cost of a look. Access lists are
 * not seen.
 */
function readableBy(): (stat: Stats) => boolean {
  const user = process.geteuid?.() ?? 0;
  if (user === 0) return () => true;
  const groups = new Set([process.getegid?.(), ...(process.getgroups?.() ?? [])]);
  return (stat) => {
    const needed = stat.isDirectory() ? 0o5 : 0o4;
    const shift = stat.uid === user ? 6 : groups.has(stat.gid) ? 3 : 0;
    return ((stat.mode >> shift) & needed) === needed;
  };
}

/** What lies in a missing directory is missing, too; what lies in something wrong is not known. */
function passOver({ missing }: Faults, path: string): void {
  if (missing.includes(path.slice(0, path.indexOf("/")))) missing.push(path);
}

function noteError(faults: Faults, path: string, error: unknown): void {
  const code = systemCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") faults.missing.push(path);
  else if (code === "ELOOP") faults.wrong.push(`${path} is a link, not a file`);
  else if (code === "ENXIO") faults.wrong.push(`${path} is a socket or a device, not a file`);
  else if (code === "EACCES" || code === "EPERM") faults.wrong.push(`${path} may not be read`);
  else faults.wrong.push(`${path} cannot be read (${code ?? "no system error"})`);
}

/** What stands at a path, in a word. */
export function kindOf(
  entry: Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink" | "isFIFO" | "isSocket">,
): string {
  if (entry.isSymbolicLink()) return "a link";
  if (entry.isFile()) return "a file";
  if (entry.isDirectory()) return "a directory";
  if (entry.isFIFO()) return "a fifo";
  return entry.isSocket() ? "a socket" : "a device";
}

interface Reading {
  readonly isThere: boolean | undefined;
  readonly faults: Faults;
  readonly buffer: Buffer;
}

/** A JSON object of the contract; null where something is wrong with it, which is then noted. */
function readDocument(cellDir: string, path: string, { isThere, faults, buffer }: Reading): Fields | null {
  if (!isThere) {
    passOver(faults, path);
    return null;
  }
  let text: string | null;
  try {
    text = readText(`${cellDir}/${path}`, buffer, (what) => faults.wrong.push(`${path} ${what}`));
  } catch (error) {
    noteError(faults, path, error);
    return null;
  }
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
    faults.wrong.push(`${path} is no JSON object`);
  } catch {
    // What the parser says quotes the file.
    faults.wrong.push(text.trim() === "" ? `${path} is empty` : `${path} is not JSON, or half of it`);
  }
  return null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Throws the system's errors; what is no file, or too large a one, is told, and null. */
function readText(path: string, buffer: Buffer, tell: (what: string) => void): string | null {
  const file = openSync(path, READ);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) {
      tell(`is ${kindOf(stat)}, not a file`);
      return null;
    }
    if (stat.size > LARGEST_BYTES) {
      tell("is larger than 4 MB");
      return null;
    }
    const into = stat.size <= buffer.length ? buffer : Buffer.allocUnsafe(stat.size);
    const bytes = stat.size === 0 ? 0 : readSync(file, into, 0, stat.size, 0);
    return into.toString("utf8", 0, bytes);
  } finally {
    closeSync(file);
  }
}

function statusOf(mission: Fields | null, id: string, wrong: string[]): State | null {
  if (mission === null) return null;
  const { mission_id: missionId, created_at: createdAt, status } = mission;
  if (typeof missionId !== "string" || missionId.toLowerCase() !== id.toLowerCase())
    wrong.push("meta/mission.json: mission_id is not the directory's name");
  if (timeOf(createdAt) === null) wrong.push("meta/mission.json: created_at is not a time");
  const known = STATES.find((state) => state === status);
  if (known === undefined) wrong.push(`meta/mission.json: status is none of ${STATES.join(", ")}`);
  return known ?? null;
}

function beatOf(heartbeat: Fields | null, wrong: string[]): number | null {
  if (heartbeat === null) return null;
  const at = timeOf(heartbeat.at);
  if (at === null) wrong.push("state/heartbeat.json: at is not a time");
  if (typeof heartbeat.state !== "string") wrong.push("state/heartbeat.json: state is missing");
  return at;
}

/** Epoch milliseconds of a time in RFC 3339, else null. */
function timeOf(value: unknown): number | null {
  if (typeof value !== "string" || !RFC_3339.test(value)) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : at;
}

function isEmpty(path: string): boolean {
  const directory = opendirSync(path, { bufferSize: 1 });
  try {
    return directory.readSync() === null;
  } finally {
    directory.closeSync();
  }
}

function incomplete(cellDir: string, faults: Faults, ageSeconds: number | null): Look | null {
  const { missing, wrong } = faults;
  try {
    // It may have gone while it was looked at: a cell leaves by being renamed.
    if (lstatSync(cellDir, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
    const isBare = missing.length === CONTRACT.directories.length + CONTRACT.files.length;
    if (isBare && isEmpty(cellDir))
      return { class: "uninitialized", reason: "the directory is empty", ageSeconds: null };
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    wrong.length = missing.length = 0;
    wrong.push(`the directory cannot be looked into (${code ?? "no system error"})`);
  }
  const order: readonly string[] = [...CONTRACT.directories, ...CONTRACT.files];
  missing.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const said = [...(missing.length === 0 ? [] : [`missing: ${missing.join(", ")}`]), ...wrong];
  return { class: "incomplete", reason: said.join("; "), ageSeconds };
}
