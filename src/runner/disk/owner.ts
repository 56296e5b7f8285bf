import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, lchown, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { CellUser } from "../../backends/backend.ts";
import { started } from "../../backends/os/started.ts";
import { closedDirectory, mayExecute } from "../../backends/os/user.ts";
import { LazarusError, saysDiskFull } from "../../errors.ts";
import { underLimits } from "../confined.ts";
import { type CellPaths, directoryError } from "./directory.ts";
import { below, isAbsent, openDirectory } from "./safe-files.ts";

/**
 * Sees to it that a cell's own user can get to where its cell and its mirror lie.
 * @throws LazarusError `directory` naming the first directory that it may not enter, and what to do.
 */
export async function checkPassable(
  dirs: { readonly missions: string; readonly mirrors: string },
  user: CellUser,
): Promise<void> {
  for (const [key, dir] of [
    ["missions", dirs.missions],
    ["data", dirs.mirrors],
  ] as const) {
    const own = mayExecute(await stat(dir), user) ? null : dir;
    const closed = closedDirectory(dir, user) ?? own;
    if (closed === null) continue;
    throw new LazarusError(
      "directory",
      `each cell runs as a user of its own, and that may not enter ${closed}: chmod o+x ${closed}, or choose another place (${key} in lazarus.yaml)`,
    );
  }
}

/** What is walked through may be what a stranger committed. */
const LIMITS = { memoryBytes: 1024 ** 3, fileBytes: 0 };

/**
 * Gives whole trees to a cell's user, links themselves and not what they lead to. Only for trees that nobody
 * but us has been in yet.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function giveAway(
  paths: readonly string[],
  to: { readonly user: CellUser; readonly path: string },
): Promise<void> {
  const { user, path } = to;
  const words = ["chown", "-Rh", `${user.uid}:${user.gid}`, "--", ...paths];
  const [command, ...args] = underLimits(LIMITS, words);
  const doing = `giving ${paths[0]} to its user`;
  const env = { PATH: path, LC_ALL: "C" };
  const child = started(spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe"] }), doing);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    if (said.length < 1_000) said += chunk.toString("utf8");
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  const line = said.trim().split("\n")[0] ?? "";
  const full = saysDiskFull(said);
  throw new LazarusError(full ? "disk-full" : "directory", `${doing}: ${line}`, { retryable: true });
}

/**
 * Lets a cell's user pass through the cell, `config/` and `config/prompts/`, and read the brief and the
 * prompts; everything else there stays ours alone.
 */
export async function lendCell(paths: CellPaths, user: CellUser): Promise<void> {
  try {
    await lendFile(paths, { names: ["config"], file: "brief.md", mode: 0o640 }, user);
    const prompts = await readdir(paths.prompts).catch((error: unknown) => {
      if (isAbsent(error)) return null;
      throw error;
    });
    for (const file of prompts ?? [])
      await lendFile(paths, { names: ["config", "prompts"], file, mode: 0o640 }, user);
    if (prompts !== null) await lendFile(paths, { names: ["config"], file: "prompts", mode: 0o710 }, user);
    await lendFile(paths, { names: [], file: "config", mode: 0o710 }, user);
    await lendPassage(paths, user);
  } catch (error) {
    throw directoryError(error, `lending ${paths.cell} to its user`);
  }
}

/** Lets a cell's user pass through its cell, and no more. Throws the system's error. */
export async function lendPassage(paths: Pick<CellPaths, "cell">, user: CellUser): Promise<void> {
  const cell = await open(paths.cell);
  try {
    await cell.chown(process.geteuid?.() ?? 0, user.gid);
    await cell.chmod(0o710);
  } finally {
    await cell.close();
  }
}

/**
 * Gives one file or directory of ours to the group of a cell's user, with that mode. Throws the system's
 * error.
 */
export async function lendFile(
  paths: Pick<CellPaths, "cell">,
  what: { readonly names: readonly string[]; readonly file: string; readonly mode: number },
  user: CellUser,
): Promise<void> {
  const directory = await openDirectory(paths.cell, ...what.names);
  try {
    const at = below(directory, what.file);
    await lchown(at, process.geteuid?.() ?? 0, user.gid);
    await chmod(at, what.mode);
  } finally {
    await directory.close();
  }
}

const SHARED_DIRECTORY = 0o2750;

/** Whether a mirror was lent to that group to the end. */
export async function isLent(mirror: string, gid: number): Promise<boolean> {
  const top = await stat(mirror);
  return top.gid === gid && (top.mode & 0o7777) === SHARED_DIRECTORY;
}

/**
 * Lets a group read a mirror, what is in it and, by the directories' setgid bit, what is to come; nobody but
 * us writes there.
 */
export async function lendMirror(mirror: string, gid: number): Promise<void> {
  const uid = process.geteuid?.() ?? 0;
  try {
    for (const entry of await readdir(mirror, { recursive: true, withFileTypes: true })) {
      const at = join(entry.parentPath, entry.name);
      if (!entry.isFile() && !entry.isDirectory()) continue;
      await lchown(at, uid, gid);
      await chmod(at, entry.isDirectory() ? SHARED_DIRECTORY : 0o640);
    }
    // Last: it says that all of it is done.
    await lchown(mirror, uid, gid);
    await chmod(mirror, SHARED_DIRECTORY);
  } catch (error) {
    throw directoryError(error, `letting the cells of ${mirror} read it`);
  }
}
