import { constants } from "node:fs";
import { chmod, type FileHandle, lstat, open, rename } from "node:fs/promises";
import { systemCode } from "../../errors.ts";
import { entriesOf } from "../disk/entries-of.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, isAbsent } from "../disk/safe-files.ts";
import { inside, namesOf, openWay, type Shut } from "./unpack.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Moves what was unpacked under a name into the cell, in the place of whatever is there; where nothing was
 * unpacked, nothing is done.
 */
export async function replace(cell: FileHandle, aside: FileHandle, name: string): Promise<void> {
  const from = below(aside, name);
  if ((await lstat(from).catch(() => null)) === null) return;
  try {
    // An empty directory, as an archived cell has it, is replaced in one step.
    await rename(from, below(cell, name));
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR"].includes(systemCode(error) ?? "")) throw error;
    await removeTree(`/proc/self/fd/${cell.fd}`, name);
    await rename(from, below(cell, name));
  }
}

/**
 * Moves what was unpacked under a name to where nothing is; what is there stays as it is, and directories are
 * looked into, through no link.
 */
export async function moveIntoPlace(to: FileHandle, from: FileHandle, name: Buffer): Promise<void> {
  const unpacked = await lstat(inside(from, name)).catch(() => null);
  if (unpacked === null) return;
  const there = await lstat(inside(to, name)).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (there === null) return rename(inside(from, name), inside(to, name));
  if (!unpacked.isDirectory() || !there.isDirectory()) return;
  const [source, target] = [
    await open(inside(from, name), DIRECTORY),
    await open(inside(to, name), DIRECTORY),
  ];
  try {
    for await (const each of entriesOf(source)) await moveIntoPlace(target, source, each.name);
  } finally {
    await source.close();
    await target.close();
  }
}

/**
 * Takes from directories, the deepest first, what their owner was not to have; links on the way lead nowhere.
 */
export async function shutAgain(cell: FileHandle, shut: readonly Shut[]): Promise<void> {
  for (const { path, mode } of shut) {
    const directory = await openWay(cell, namesOf(path));
    if (directory === null || directory === cell) continue;
    await chmod(`/proc/self/fd/${directory.fd}`, mode).finally(() => directory.close());
  }
}
