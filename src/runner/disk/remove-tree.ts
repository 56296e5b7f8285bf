import { constants, type Dirent } from "node:fs";
import {
  chmod,
  type FileHandle,
  lstat,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rmdir,
  unlink,
} from "node:fs/promises";
import { join } from "node:path";
import { LazarusError, systemCode } from "../../errors.ts";
import { entriesOf } from "./entries-of.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Linux' O_PATH, which Node has no name for: a descriptor of a directory that we may not read (yet). */
const PATH_ONLY = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Deeper trees are moved up to the top first, so that an agent's nesting cannot use up our descriptors. */
const MAX_DEPTH = 64;

interface Walk {
  readonly top: FileHandle;
  readonly device: number;
  /** In the names of what is moved: nobody could foresee it, and put something in its way. */
  readonly mark: string;
  moved: number;
}

/**
 * Deletes `<root>/<name>` and all below it, and nothing else: directories are opened without following links
 * and emptied below their descriptor, links are unlinked, another file system is never entered, directories
 * that deny us are made writable first. Missing is fine.
 * @throws LazarusError `directory` if something is left, naming it.
 */
export async function removeTree(root: string, name: string): Promise<void> {
  const path = join(root, name);
  let stat: Awaited<ReturnType<typeof lstat>>;
  try {
    stat = await lstat(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw error;
  }
  if (!stat.isDirectory()) {
    await unlink(path);
    return;
  }
  try {
    const top = await openWritable(Buffer.from(path), stat.dev);
    try {
      await empty(top, 0, { top, device: stat.dev, mark: crypto.randomUUID(), moved: 0 });
    } finally {
      await top.close();
    }
    await rmdir(path);
  } catch (error) {
    if (error instanceof LazarusError) throw error;
    throw new LazarusError("directory", `deleting ${path}: ${(error as Error).message}`, {
      retryable: true,
      cause: error,
    });
  }
}

async function empty(directory: FileHandle, depth: number, walk: Walk): Promise<void> {
  // A directory that was moved up to the top while this one was read shows up in the next round.
  for (let wasEmpty = false; !wasEmpty; ) {
    wasEmpty = true;
    for await (const entry of entriesOf(directory)) {
      wasEmpty = false;
      await remove(directory, entry, depth, walk);
    }
  }
}

async function remove(
  directory: FileHandle,
  entry: Dirent<Buffer>,
  depth: number,
  walk: Walk,
): Promise<void> {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), entry.name]);
  if (!entry.isDirectory()) return unlink(path);
  const child = await openWritable(path, walk.device);
  try {
    if (depth >= MAX_DEPTH) {
      return await rename(path, `/proc/self/fd/${walk.top.fd}/.deep-${walk.mark}-${++walk.moved}`);
    }
    await empty(child, depth + 1, walk);
  } finally {
    await child.close();
  }
  await rmdir(path);
}

/**
 * Opens a directory for emptying; the mode is changed through a descriptor, so never on what a link leads to.
 */
async function openWritable(path: Buffer, device: number): Promise<FileHandle> {
  const handle = await open(path, PATH_ONLY);
  try {
    const self = `/proc/self/fd/${handle.fd}`;
    const { mode, dev } = await handle.stat();
    if (dev !== device) {
      throw new LazarusError(
        "directory",
        `deleting: ${path.toString()} is another file system; unmount it first`,
        { retryable: true },
      );
    }
    if ((mode & 0o700) !== 0o700) await chmod(self, (mode & 0o7777) | 0o700);
    return await open(`${self}/.`, DIRECTORY);
  } finally {
    await handle.close();
  }
}

/** Mount points at or below a directory, from `/proc/self/mountinfo`. */
export async function mountsBelow(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const points = table.split("\n").map((line) => unescapeOctal(line.split(" ")[4] ?? ""));
  return points.filter((point) => point === real || point.startsWith(`${real}/`));
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * Scrubs a cell: renames it to `.gone-<id>`, deletes that, and proves that nothing of that name is there any
 * more. Its processes must be gone.
 * @throws LazarusError `directory` while something is mounted below, or if something could not be deleted.
 */
export async function scrubCell(missionsDir: string, cellId: string): Promise<void> {
  for (const name of [cellId, `.gone-${cellId}`]) {
    const mounts = await mountsBelow(join(missionsDir, name));
    if (mounts.length === 0) continue;
    throw new LazarusError(
      "directory",
      `destroying cell ${cellId}: ${mounts.join(", ")} is mounted; unmount it first`,
      { retryable: true },
    );
  }
  const gone = join(missionsDir, `.gone-${cellId}`);
  await removeTree(missionsDir, `.gone-${cellId}`);
  await rename(join(missionsDir, cellId), gone).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT") throw error;
  });
  await removeTree(missionsDir, `.gone-${cellId}`);
  await removeTree(missionsDir, `.new-${cellId}`);
  const [left] = await leftOf(missionsDir, cellId);
  if (left !== undefined)
    throw new LazarusError("directory", `destroying cell ${cellId}: ${left} is still there`, {
      retryable: true,
    });
}

/** Names in the missions root under which something of this cell lies. */
export async function leftOf(missionsDir: string, cellId: string): Promise<string[]> {
  try {
    const names = await readdir(missionsDir);
    return names.filter((name) => [cellId, `.gone-${cellId}`, `.new-${cellId}`].includes(name));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
