import { constants } from "node:fs";
import { type FileHandle, link, open, rename, rm } from "node:fs/promises";
import { LazarusError, systemCode } from "../../errors.ts";
import { entriesOf, MOST_NAMES } from "./entries-of.ts";
import { removeTree } from "./remove-tree.ts";

/*
 * Everything below a cell's directory may have been put there by an agent: links to other places, fifos,
 * devices, names with `..`. So a path is walked one name at a time, each directory opened without following
 * links, and the next name taken below the descriptor.
 */

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The path of what an open directory holds, whatever happens to its name meanwhile. */
export function below(directory: FileHandle, name: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw new LazarusError("directory", `${JSON.stringify(name)} is not a name of a file`);
  }
  return `/proc/self/fd/${directory.fd}/${name}`;
}

/**
 * Opens `root/names…`; each must be a directory, none a link. `root` itself is ours. Throws the system's
 * error (`ENOENT`, `ELOOP`, `ENOTDIR`).
 */
export async function openDirectory(root: string, ...names: readonly string[]): Promise<FileHandle> {
  let current = await open(root, DIRECTORY);
  for (const name of names) {
    const parent = current;
    try {
      current = await open(below(parent, name), DIRECTORY);
    } finally {
      await parent.close();
    }
  }
  return current;
}

/** Calls `fn` with the opened directory and closes it; null where it is missing or no directory. */
export async function inDirectory<T>(
  root: string,
  names: readonly string[],
  fn: (directory: FileHandle) => Promise<T>,
): Promise<T | null> {
  let directory: FileHandle;
  try {
    directory = await openDirectory(root, ...names);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
  try {
    return await fn(directory);
  } finally {
    await directory.close();
  }
}

/** Whether a path leads nowhere we would go: missing, a link, or no directory. */
export function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ELOOP", "ENOTDIR", "ENXIO", "EACCES"].includes(systemCode(error) ?? "");
}

export interface FileEnd {
  readonly text: string;
  readonly cut: boolean;
  /** Epoch ms. */
  readonly changedAt: number;
}

/**
 * Reads a regular file that an agent could have written: its first (`"start"`) or last (`"end"`) `maxBytes`.
 * Null where it is missing or anything but a regular file with one name (a hard link may lead to a file of
 * somebody else).
 */
export async function readInside(
  directory: FileHandle,
  name: string,
  which: { readonly end: "start" | "end"; readonly maxBytes: number },
): Promise<FileEnd | null> {
  let file: FileHandle;
  try {
    file = await open(below(directory, name), READ);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.nlink > 1) return null;
    const length = Math.min(stat.size, which.maxBytes);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, which.end === "start" ? 0 : stat.size - length);
    return {
      text: buffer.subarray(0, bytesRead).toString("utf8"),
      cut: stat.size > length,
      changedAt: stat.mtimeMs,
    };
  } finally {
    await file.close();
  }
}

/**
 * The newest regular file of a directory whose name ends in `suffix` and that was changed at or after `since`
 * (epoch ms); null where there is none. Looks at no more than 10,000 names.
 */
export async function newestFile(
  directory: FileHandle,
  suffix: string,
  since: number,
): Promise<string | null> {
  let newest: { name: string; at: number } | null = null;
  let looked = 0;
  for await (const entry of entriesOf(directory)) {
    if (++looked > MOST_NAMES) break;
    const name = entry.name.toString();
    if (!name.endsWith(suffix)) continue;
    const file = await open(below(directory, name), READ).catch(() => null);
    if (file === null) continue;
    const stat = await file.stat();
    await file.close();
    if (stat.isFile() && stat.mtimeMs >= since && (newest === null || stat.mtimeMs > newest.at))
      newest = { name, at: stat.mtimeMs };
  }
  return newest?.name ?? null;
}

/**
 * Writes a file whole: temporary name, fsync, rename, fsync of the directory. Replaces a link or a directory,
 * never writes through it.
 */
export async function writeWhole(
  directory: FileHandle,
  name: string,
  bytes: string | Uint8Array,
): Promise<void> {
  const temporary = await writeAside(directory, name, bytes);
  try {
    await rename(temporary, below(directory, name));
  } catch (error) {
    if (systemCode(error) !== "EISDIR") throw error;
    // Nobody but an agent with our rights puts a directory where the contract has a file.
    await removeTree(`/proc/self/fd/${directory.fd}`, name);
    await rename(temporary, below(directory, name));
  }
  await removeStale(directory, name);
  await directory.sync();
}

/**
 * Writes a file whole where nothing bears its name, and says whether it did: what is there already, whatever
 * it is, stays as it is, also where another process makes it at the same moment.
 */
export async function createWhole(
  directory: FileHandle,
  name: string,
  bytes: string | Uint8Array,
): Promise<boolean> {
  const temporary = await writeAside(directory, name, bytes);
  try {
    // A second name, unlike a rename, is refused where there is a first.
    await link(temporary, below(directory, name));
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await directory.sync();
  return true;
}

let writes = 0;

/** The bytes on disk under a name of this process's own; answers its path. */
async function writeAside(directory: FileHandle, name: string, bytes: string | Uint8Array): Promise<string> {
  const temporary = below(directory, `.${name}.${process.pid}.${++writes}`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(temporary, flags, 0o600);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  return temporary;
}

/** What a write of the same file left behind when its process was killed, where not too much lies there. */
async function removeStale(directory: FileHandle, name: string): Promise<void> {
  let looked = 0;
  for await (const entry of entriesOf(directory)) {
    if (++looked > MOST_NAMES) break;
    const other = entry.name.toString();
    const pid = other.startsWith(`.${name}.`)
      ? /^(\d+)\.\d+$/.exec(other.slice(name.length + 2))?.[1]
      : undefined;
    if (pid === undefined || pid === String(process.pid) || isProcess(Number(pid))) continue;
    // What cannot be removed is not ours, but a directory that somebody else named so.
    await rm(below(directory, other)).catch(() => {});
  }
}

/** A process of that number may be writing just now: two pits have one heartbeat. */
function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
}
