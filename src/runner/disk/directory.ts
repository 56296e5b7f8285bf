import { constants } from "node:fs";
import { lstat, open, statfs } from "node:fs/promises";
import { join } from "node:path";
import { LazarusError, systemCode } from "../../errors.ts";
import { makePath } from "../../make-path.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
import { inDirectory, openDirectory, readInside, writeWhole } from "./safe-files.ts";

/** The paths of one cell's directory, all absolute: the contract of mission-cell.md. */
export interface CellPaths {
  readonly cell: string;
  readonly meta: string;
  readonly config: string;
  readonly state: string;
  readonly logs: string;
  readonly artifacts: string;
  readonly worktree: string;
  readonly home: string;
  readonly archive: string;
  readonly brief: string;
  /** What each run starts with: `<run>.md`. */
  readonly prompts: string;
  /** Clean clones of what was pushed, and of its base: `<first 8 of the commit>`. */
  readonly checks: string;
}

/** Where things lie below a cell's directory, wherever that directory is just now. */
export function pathsOf(cellDir: string): CellPaths {
  const at = (name: string) => join(cellDir, name);
  return {
    cell: cellDir,
    meta: at("meta"),
    config: at("config"),
    state: at("state"),
    logs: at("logs"),
    artifacts: at("artifacts"),
    worktree: at("worktree"),
    home: at("home"),
    archive: at("archive"),
    brief: join(cellDir, "config", "brief.md"),
    prompts: join(cellDir, "config", "prompts"),
    checks: at("checks"),
  };
}

/** Every directory of the scaffold but `worktree`, which the clone fills. */
export const SCAFFOLD = [
  ["meta"],
  ["config"],
  ["state"],
  ["logs"],
  ["home"],
  ["artifacts"],
  ["artifacts", "handoff"],
  ["artifacts", "answers"],
  ["artifacts", "reports"],
  ["artifacts", "checkpoints"],
] as const;

/**
 * Makes a directory, and those on the way to it that are missing, so that others may pass through, and list
 * nothing. In one step: one that was made and not yet opened when Lazarus was killed would stay shut. One
 * that is there stays as it is.
 */
export function makePassable(dir: string): void {
  const before = process.umask(0o066);
  try {
    makePath(dir, 0o711);
  } finally {
    process.umask(before);
  }
}

/**
 * Makes the missions root where it is missing (mode 0711, so that nobody lists it).
 * @throws LazarusError `directory` if it cannot be made or is no directory, `disk-full` if less than
 * `freeBytes` is free there.
 */
export async function prepareRoot(root: string, freeBytes: number): Promise<void> {
  try {
    makePassable(root);
    if (!(await lstat(`${root}/`)).isDirectory())
      throw new LazarusError("directory", `the missions root ${root} is not a directory`);
  } catch (error) {
    throw directoryError(error, `making the missions root ${root} (missions in lazarus.yaml)`);
  }
  const space = await statfs(root);
  const free = space.bavail * space.bsize;
  if (free >= freeBytes) return;
  const say = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new LazarusError(
    "disk-full",
    `${say(free)} are free under ${root}, and no run starts below ${say(freeBytes)} (limits.free in lazarus.yaml)`,
    { retryable: true },
  );
}

const WHY: Readonly<Record<string, string>> = {
  EROFS: "it is read-only",
  EACCES: "Lazarus may not write there",
  EPERM: "Lazarus may not write there",
  EEXIST: "there is something that is not a directory",
  ENOTDIR: "there is something that is not a directory",
  ENOENT: "it is missing",
  ELOOP: "there is a link",
};

/**
 * A system error in our words; a full disk is `disk-full`. All are retryable: somebody may mend it meanwhile.
 */
export function directoryError(error: unknown, doing: string): unknown {
  if (error instanceof LazarusError) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new LazarusError("disk-full", `${doing}: no space left on the device`, {
      retryable: true,
      cause: error,
    });
  }
  return new LazarusError("directory", `${doing}: ${WHY[code] ?? code}`, { retryable: true, cause: error });
}

/**
 * JSON as the contract has it: two spaces, a newline at the end, written whole. `names` are the directories
 * below the cell.
 */
export async function writeJson(
  cellDir: string,
  names: readonly string[],
  file: string,
  value: unknown,
): Promise<void> {
  await writeFileInside(cellDir, names, file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Any text or bytes, written whole, below a cell, through no link. */
export async function writeFileInside(
  cellDir: string,
  names: readonly string[],
  file: string,
  bytes: string | Uint8Array,
): Promise<void> {
  try {
    const directory = await openDirectory(cellDir, ...names);
    try {
      await writeWhole(directory, file, bytes);
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw directoryError(error, `writing ${join(cellDir, ...names, file)}`);
  }
}

/** A JSON object of a cell, or null where it is missing, unreadable or something else. */
export async function readJson(
  cellDir: string,
  names: readonly string[],
  file: string,
): Promise<Record<string, unknown> | null> {
  const read = await inDirectory(cellDir, names, (directory) =>
    readInside(directory, file, { end: "start", maxBytes: 4_000_000 }),
  );
  if (read === null) return null;
  try {
    const value: unknown = JSON.parse(read.text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

/**
 * Whether a write failed because something else stands where a directory of the contract was: trying again
 * mends nothing.
 */
export function isSpoiled(error: unknown): boolean {
  const cause = error instanceof LazarusError ? error.cause : error;
  return ["EISDIR", "ENOTDIR", "ELOOP", "ENOENT"].includes(systemCode(cause) ?? "");
}

export interface Heartbeat {
  readonly at: string;
  readonly state: string;
  readonly by: "runner" | AgentBeat["by"];
  readonly message?: string;
  readonly progress?: number | string;
  /** What the agent said last, where the last heartbeat is not its own. */
  readonly agent?: Omit<Heartbeat, "agent">;
}

/** Writes `state/heartbeat.json`. */
export async function writeHeartbeat(cellDir: string, beat: Heartbeat): Promise<void> {
  await writeJson(cellDir, ["state"], "heartbeat.json", beat);
}

/** Adds one line to `logs/daemon.log`: what the runner did to this cell. A cell that is gone is no error. */
export async function noteInDaemonLog(
  cellDir: string,
  entry: { readonly at: string; readonly what: string } & Record<string, unknown>,
): Promise<void> {
  const flags =
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  await inDirectory(cellDir, ["logs"], async (directory) => {
    const file = await open(`/proc/self/fd/${directory.fd}/daemon.log`, flags, 0o600).catch(() => null);
    if (file === null) return;
    try {
      if ((await file.stat()).isFile()) await file.appendFile(`${JSON.stringify(entry)}\n`);
    } finally {
      await file.close();
    }
  });
}

/**
 * What lies at a path: nothing, a real directory, or something else (a link to a directory is something
 * else).
 */
export async function whatIs(path: string): Promise<"nothing" | "directory" | "other"> {
  try {
    return (await lstat(path)).isDirectory() ? "directory" : "other";
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return "nothing";
    throw error;
  }
}

/**
 * The bundle of what a run made last, as it was checked and published, for as long as the cell is not sealed.
 */
export const COLLECTED = "collected.bundle";
