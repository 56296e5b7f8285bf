import { constants } from "node:fs";
import { chmod, type FileHandle, open } from "node:fs/promises";
import { entriesOf } from "../disk/entries-of.ts";
import { below, inDirectory, openDirectory } from "../disk/safe-files.ts";
import { DEEPEST, openSealed } from "./manifest.ts";

/** What was opened, and how it was before: path (its bytes as Latin-1 text) -> permission bits. */
export type OpenedModes = ReadonlyMap<string, number>;

const NOTED = "opened.jsonl";
/** What is more stays readable in the archive; nobody needs millions of closed files back as they were. */
const MOST_NOTED_BYTES = 32 * 1024 ** 2;
/** Linux' O_PATH, which Node has no name for: a descriptor of what we may not read (yet). */
const PATH_ONLY = 0o10000000 | constants.O_NOFOLLOW;

/**
 * Makes everything in these directories of a cell readable by its owner, through no link: directories and
 * files that an agent closed to everybody, itself included, are ours to open. How each was before is written
 * down first, so that a seal knows it also when this was killed.
 */
export async function makeReadable(cellDir: string, parts: readonly string[]): Promise<void> {
  const archive = await openDirectory(cellDir, "archive");
  try {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const notes = await open(below(archive, NOTED), flags, 0o600);
    try {
      const room = { bytes: MOST_NOTED_BYTES - (await notes.stat()).size };
      const note = async (line: string) => {
        room.bytes -= Buffer.byteLength(line);
        if (room.bytes >= 0) await notes.appendFile(line);
      };
      for (const part of parts) {
        await inDirectory(cellDir, [], (cell) =>
          openEntry(cell, { name: Buffer.from(part), path: Buffer.from(part), note, depth: 0 }),
        );
      }
    } finally {
      await notes.close();
    }
  } finally {
    await archive.close();
  }
}

interface Closed {
  readonly name: Buffer;
  readonly path: Buffer;
  readonly note: (line: string) => Promise<void>;
  readonly depth: number;
}

async function openEntry(parent: FileHandle, { name, path, note, depth }: Closed): Promise<void> {
  const at = Buffer.concat([Buffer.from(`/proc/self/fd/${parent.fd}/`), name]);
  const handle = await open(at, PATH_ONLY).catch(() => null);
  if (handle === null) return;
  try {
    const stat = await handle.stat();
    if (!stat.isDirectory() && !stat.isFile()) return;
    const needed = stat.isDirectory() ? 0o700 : 0o400;
    if ((stat.mode & needed) !== needed) {
      await note(`${JSON.stringify([path.toString("latin1"), stat.mode & 0o7777])}\n`);
      await chmod(`/proc/self/fd/${handle.fd}`, (stat.mode & 0o7777) | needed);
    }
    if (!stat.isDirectory() || depth === DEEPEST) return;
    const child = await open(`/proc/self/fd/${handle.fd}/.`, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      for await (const { name: below } of entriesOf(child))
        await openEntry(child, {
          ...{ name: below, path: Buffer.concat([path, Buffer.from("/"), below]) },
          ...{ note, depth: depth + 1 },
        });
    } finally {
      await child.close();
    }
  } finally {
    await handle.close();
  }
}

/** How the things were that `makeReadable` opened for this seal; the first word about each counts. */
export async function readOpened(archive: FileHandle): Promise<OpenedModes> {
  const modes = new Map<string, number>();
  const file = await openSealed(archive, NOTED);
  if (file === null) return modes;
  try {
    for await (const line of file.readLines({ autoClose: false })) {
      const [, path, mode] = /^\["(.*)",(\d{1,4})\]$/.exec(line) ?? [];
      if (path === undefined) continue;
      const name = JSON.parse(`"${path}"`) as string;
      if (!modes.has(name)) modes.set(name, Number(mode));
    }
  } finally {
    await file.close();
  }
  return modes;
}

/**
 * The permission bits that something had before it was opened; as they are, where it was not, or was changed
 * since.
 */
export function modeBefore(
  opened: OpenedModes,
  path: string,
  now: { readonly type: string; readonly mode: number },
): number {
  const before = opened.get(path);
  const needed = now.type === "directory" ? 0o700 : 0o400;
  return before !== undefined && (before | needed) === now.mode ? before : now.mode;
}

export const OPENED_NOTES = NOTED;
