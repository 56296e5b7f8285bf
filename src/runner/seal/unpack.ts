import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lchown, link, lstat, lutimes, mkdir, open, symlink } from "node:fs/promises";
import { LazarusError, systemCode } from "../../errors.ts";
import { entryLine, KEPT_MODE, pathOfLine, readable } from "./entries.ts";
import { PARTS } from "./manifest.ts";
import type { SparseMap } from "./tar/header.ts";
import { readInnerMap, type TarEntry } from "./tar/read.ts";

/** Who gets what is unpacked below one of the cell's directories; null: it stays ours. */
export type OwnerOf = (part: string) => { readonly uid: number; readonly gid: number } | null;

/** A directory that its owner could not work in; it is shut once everything is in its place. */
export interface Shut {
  readonly path: Buffer;
  readonly mode: number;
}

interface Level {
  readonly path: string;
  readonly inode: number;
  /** What the directory gets once it is full. */
  readonly finish: Finish;
}

interface Finish {
  readonly path: Buffer;
  readonly mode: number;
  /** Seconds. */
  readonly mtime: number;
  readonly part: string;
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Writes the members of a seal below one empty directory of ours, and nowhere else: whatever an archive says,
 * a member lies in a directory that was itself made just now, no name is met twice, links are made and never
 * followed. Each member is compared with its line of the list as it is written.
 */
export class Unpacker {
  /** Directories to be shut when all is done, the deepest first. */
  readonly shut: Shut[] = [];
  readonly #root: FileHandle;
  readonly #ownerOf: OwnerOf;
  /** The directories on the way to the one that is open: only that one costs a descriptor. */
  readonly #levels: Level[] = [];
  #here: FileHandle;

  /** `root` is closed by the caller. */
  constructor(root: FileHandle, ownerOf: OwnerOf) {
    this.#root = root;
    this.#here = root;
    this.#ownerOf = ownerOf;
  }

  /**
   * `line` is the member's in the list; null: there is no list. @throws LazarusError `directory`, not
   * retryable, if the member is not what it should be.
   */
  async add(member: TarEntry, line: string | null): Promise<void> {
    const names = namesOf(member.path);
    const mode = (line === null ? member.mode : modeOf(line)) & KEPT_MODE;
    const compare = (sha256: string | null) => {
      if (line !== null && entryLine({ ...member, mode }, sha256) !== line)
        throw damaged(
          `${readable(member.path)} is not what was sealed (the list has ${pathOfLine(line)} there)`,
        );
    };
    if (member.type !== "file") compare(null);
    if (member.type === "other") return;
    await this.#enter(names.slice(0, -1), member.path);
    const at = inside(this.#here, names.at(-1) ?? NOTHING);
    const finish = {
      path: member.path,
      mode,
      mtime: secondsOf(member.mtime),
      part: names[0]?.toString() ?? "",
    };
    try {
      if (member.type === "directory") await this.#descend(at, finish);
      else if (member.type === "file") compare(await this.#writeFile(at, member, finish));
      else if (member.type === "link") await this.#makeLink(at, member, finish);
      else await this.#makeHardLink(at, member);
    } catch (error) {
      if (systemCode(error) === "EEXIST") throw damaged(`${readable(member.path)} is in the archive twice`);
      throw error;
    }
  }

  /** Gives the directories that are still open what they are to have. */
  async end(): Promise<void> {
    while (this.#levels.length > 0) await this.#leave();
  }

  /** Lets go of what is open, whatever happened. */
  async close(): Promise<void> {
    if (this.#here !== this.#root) await this.#here.close();
    this.#here = this.#root;
  }

  /** Goes to the directory a member lies in: one that was made just now and not left since. */
  async #enter(names: readonly Buffer[], path: Buffer): Promise<void> {
    const wanted = names.map((name) => name.toString("latin1")).join("/");
    for (;;) {
      const top = this.#levels.at(-1);
      if ((top?.path ?? "") === wanted) return;
      if (top === undefined || wanted.startsWith(`${top.path}/`))
        throw damaged(`${readable(path)} lies in no directory of the archive`);
      await this.#leave();
    }
  }

  async #descend(at: Buffer, finish: Finish): Promise<void> {
    await mkdir(at, { mode: 0o700 });
    const handle = await open(at, DIRECTORY);
    const { ino } = await handle.stat();
    if (this.#here !== this.#root) await this.#here.close();
    this.#here = handle;
    this.#levels.push({ path: finish.path.toString("latin1"), inode: ino, finish });
  }

  async #leave(): Promise<void> {
    const level = this.#levels.pop();
    if (level === undefined) return;
    const left = this.#here;
    const up = this.#levels.at(-1);
    const parent = up === undefined ? this.#root : await open(`/proc/self/fd/${left.fd}/..`, DIRECTORY);
    this.#here = parent;
    try {
      if (up !== undefined && (await parent.stat()).ino !== up.inode)
        throw new LazarusError("directory", "unpacking an archive: somebody moves directories meanwhile", {
          retryable: true,
        });
      const { mode } = level.finish;
      if ((mode & 0o700) !== 0o700) this.shut.push({ path: level.finish.path, mode });
      await this.#finish(left, { ...level.finish, mode: mode | 0o700 });
    } finally {
      await left.close();
    }
  }

  async #finish(handle: FileHandle, { mode, mtime, part }: Finish): Promise<void> {
    const owner = this.#ownerOf(part);
    if (owner !== null) await handle.chown(owner.uid, owner.gid);
    await handle.chmod(mode);
    await handle.utimes(mtime, mtime);
  }

  async #writeFile(at: Buffer, member: TarEntry, finish: Finish): Promise<string> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(at, flags, 0o600);
    try {
      const hash = createHash("sha256");
      await writeContent(file, member, hashed(member.bytes(), hash));
      await this.#finish(file, finish);
      return hash.digest("hex");
    } finally {
      await file.close();
    }
  }

  async #makeLink(at: Buffer, member: TarEntry, { mtime, part }: Finish): Promise<void> {
    await symlink(member.target, at);
    const owner = this.#ownerOf(part);
    if (owner !== null) await lchown(at, owner.uid, owner.gid);
    await lutimes(at, mtime, mtime);
  }

  /** Another name of a file that was unpacked before: the way to it is walked through no link. */
  async #makeHardLink(at: Buffer, member: TarEntry): Promise<void> {
    const names = namesOf(member.target);
    const directory = await openWay(this.#root, names.slice(0, -1));
    try {
      const first = directory && inside(directory, names.at(-1) ?? NOTHING);
      if (first === null || !(await lstat(first).catch(() => null))?.isFile())
        throw damaged(`${readable(member.path)} is a hard link to nothing in the archive`);
      await link(first, at);
    } finally {
      if (directory !== this.#root) await directory?.close();
    }
  }
}

/**
 * Opens the directory that these names lead to, through no link; null where there is none. With no names it
 * is `root` itself.
 */
export async function openWay(root: FileHandle, names: readonly Buffer[]): Promise<FileHandle | null> {
  let current = root;
  for (const name of names) {
    const next = await open(inside(current, name), DIRECTORY).catch(() => null);
    if (current !== root) await current.close();
    if (next === null) return null;
    current = next;
  }
  return current;
}

/** What of an archive is not what was sealed: trying again mends nothing. */
export function damaged(what: string): LazarusError {
  return new LazarusError("directory", `the archive is damaged: ${what}`);
}

const NOTHING = Buffer.alloc(0);

/**
 * The names of a path, each of which is one: nothing absolute, no `..`, and it begins with a directory of the
 * cell.
 */
export function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let at = 0; at <= path.length; ) {
    const slash = path.indexOf(0x2f, at);
    const end = slash === -1 ? path.length : slash;
    names.push(path.subarray(at, end));
    at = end + 1;
  }
  const isName = (name: Buffer) =>
    name.length > 0 && !name.includes(0) && !name.equals(Buffer.from(".")) && !name.equals(Buffer.from(".."));
  const isOurs = PARTS.some((part) => names[0]?.equals(Buffer.from(part)));
  if (!isOurs || !names.every(isName)) throw damaged(`${readable(path)} is no path in a cell`);
  return names;
}

/** The path of what an open directory holds under a name that need not be text. */
export function inside(directory: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), name]);
}

function modeOf(line: string): number {
  const mode: unknown = (JSON.parse(line) as { mode?: unknown }).mode;
  return typeof mode === "string" && /^[01]?[0-7]{3,4}$/.test(mode) ? Number.parseInt(mode, 8) : 0;
}

/**
 * Seconds as the system call takes them: cut to microseconds, and half a one more, since it drops what a
 * float cannot hold.
 */
function secondsOf(mtime: string): number {
  const [, seconds = "", micros = ""] = /^(-?\d+)(?:\.(\d{1,6}))?/.exec(mtime) ?? [];
  return Number(seconds) + (Number(micros.padEnd(6, "0")) + 0.5) / 1e6;
}

async function* hashed(
  bytes: AsyncIterable<Buffer>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Buffer, void> {
  for await (const part of bytes) {
    hash.update(part);
    yield part;
  }
}

async function writeContent(file: FileHandle, member: TarEntry, bytes: AsyncIterable<Buffer>): Promise<void> {
  if (member.sparse === null) {
    for await (const part of bytes) await file.writeFile(part);
    return;
  }
  const { map, rest } =
    member.sparse === "inside" ? await readInnerMap(bytes) : { map: member.sparse.map, rest: bytes };
  await file.truncate(member.size);
  await writePieces(file, map, { rest, size: member.size, path: member.path });
}

async function writePieces(
  file: FileHandle,
  map: SparseMap,
  { rest, size, path }: { rest: AsyncIterable<Buffer>; size: number; path: Buffer },
): Promise<void> {
  let piece = 0;
  let done = 0;
  for await (let part of rest) {
    while (part.length > 0) {
      while (piece < map.length && done === (map[piece + 1] ?? 0)) {
        piece += 2;
        done = 0;
      }
      const [at = 0, length = 0] = [map[piece], map[piece + 1]];
      if (piece >= map.length || at + length > size)
        throw damaged(`${readable(path)} has bytes that its map of holes does not know`);
      const { bytesWritten } = await file.write(part, 0, Math.min(part.length, length - done), at + done);
      part = part.subarray(bytesWritten);
      done += bytesWritten;
    }
  }
}
