import {
  chmodSync,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { LazarusError, systemCode } from "../../errors.ts";
import { AT_ONCE } from "./entries-of.ts";

/*
 * What `removeTree` does to a directory. Each call is waited for, which is many times as fast: in a worker
 * nothing else goes on, and with us it ends at the first sign of more than a little.
 */

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Linux' O_PATH, which Node has no name for: a descriptor of a directory that we may not read (yet). */
const PATH_ONLY = 0o10000000 | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const MOST_NAME = 1_000;
/** Deeper trees are moved up to the top first, so that an agent's nesting cannot use up our descriptors. */
const MAX_DEPTH = 64;
/** So many names are removed before it looks again whether whoever started it is still there. */
const LOOK_EVERY = 256;
/** So often a directory may list only what is not there before that is a fault of its file system. */
const MOST_IDLE = 10;

/**
 * Here, as long as it takes no time that anybody would notice. A directory is as large as it once was: to
 * read or to remove it goes through all of that in one call.
 */
const LITTLE = {
  names: 400,
  bytes: 16 * 1024 ** 2,
  directory: 128 * 1024,
  directories: 2 * 1024 ** 2,
  ms: 50,
};

/** A throw ends the walk. */
interface Guard {
  /** Before each name is removed. */
  name(path: Buffer): void;
  /** Before a directory of so many bytes is read. */
  directory(bytes: number): void;
}

interface Walk {
  readonly top: number;
  readonly device: number;
  readonly guard: Guard;
  /** In the names of what is moved: nobody could foresee it, and put something in its way. */
  readonly mark: string;
  moved: number;
  removed: number;
}

/**
 * Deletes the directory of that name where this process stands, and all below it. What is gone meanwhile is
 * done: the child of somebody who was killed may be at work on the same tree for a moment.
 * @throws LazarusError `directory`, retryable, if something is left, naming it.
 */
export function removeHere({ name, parent }: { readonly name: string; readonly parent: number }): void {
  let seen = 0;
  removeDirectory(process.cwd(), name, {
    name() {
      if (++seen % LOOK_EVERY === 0) endIfAlone(parent);
    },
    directory() {},
  });
}

/**
 * The same of `<root>/<name>`, by ourselves and only as far as that is a little: at most some hundred names
 * and megabytes, for some milliseconds. False: a child does the rest, and says what is in the way.
 */
export function removeLittle(root: string, name: string, now = () => performance.now()): boolean {
  const until = now() + LITTLE.ms;
  const left = { ...LITTLE };
  const mustBeLittle = (isLittle: boolean) => {
    if (!isLittle || now() > until) throw new Error("it is more than a little");
  };
  try {
    removeDirectory(root, name, {
      name(path) {
        left.bytes -= 512 * (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0);
        mustBeLittle(--left.names >= 0 && left.bytes >= 0);
      },
      directory(bytes) {
        left.directories -= bytes;
        mustBeLittle(bytes <= LITTLE.directory && left.directories >= 0);
      },
    });
    return true;
  } catch {
    return false;
  }
}

function removeDirectory(root: string, name: string, guard: Guard): void {
  const path = Buffer.from(`${root}/${name}`);
  naming(root, name, () => {
    const device = lstatSync(path, { throwIfNoEntry: false })?.dev;
    if (device === undefined) return;
    const top = openWritable(path, device, guard);
    if (top === null) return;
    try {
      empty(top, 0, { top, device, guard, mark: crypto.randomUUID(), moved: 0, removed: 0 });
    } finally {
      closeSync(top);
    }
    unlessGone(() => rmdirSync(path));
  });
}

function empty(directory: number, depth: number, walk: Walk): void {
  // A directory that was moved up to the top while this one was read shows up in the next round.
  for (let [wasEmpty, idle] = [false, 0]; !wasEmpty && idle < MOST_IDLE; ) {
    wasEmpty = true;
    const already = walk.removed;
    for (const entry of entriesOf(directory)) {
      wasEmpty = false;
      naming(`/proc/self/fd/${directory}`, entry.name, () => remove(directory, entry, depth, walk));
    }
    if (walk.removed === already) idle++;
  }
}

/** Whoever takes our place may be at work here already. */
function endIfAlone(parent: number): void {
  if (process.ppid !== parent) process.exit(1);
}

function remove(directory: number, entry: Dirent<Buffer>, depth: number, walk: Walk): void {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), entry.name]);
  walk.guard.name(path);
  const act = (call: () => void) => {
    if (unlessGone(call)) walk.removed++;
  };
  if (!entry.isDirectory()) {
    act(() => unlinkSync(path));
    return;
  }
  const child = openWritable(path, walk.device, walk.guard);
  if (child === null) return;
  const isTooDeep = depth >= MAX_DEPTH;
  try {
    if (!isTooDeep) empty(child, depth + 1, walk);
  } finally {
    closeSync(child);
  }
  const aside = `/proc/self/fd/${walk.top}/.deep-${walk.mark}-${++walk.moved}`;
  act(() => (isTooDeep ? renameSync(path, aside) : rmdirSync(path)));
}

/** Answers whether it was there. */
function unlessGone(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return false;
  }
}

function* entriesOf(directory: number): Generator<Dirent<Buffer>> {
  const options = { encoding: "buffer" as BufferEncoding, bufferSize: AT_ONCE };
  const open = opendirSync(`/proc/self/fd/${directory}`, options);
  try {
    // Node's types do not know that names are bytes then.
    for (let entry = open.readSync(); entry !== null; entry = open.readSync())
      yield entry as unknown as Dirent<Buffer>;
  } finally {
    open.closeSync();
  }
}

/**
 * Opens a directory for emptying; the mode is changed through a descriptor, so never on what a link leads to.
 * Null: it is gone.
 */
function openWritable(path: Buffer, device: number, guard: Guard): number | null {
  let handle = -1;
  if (!unlessGone(() => (handle = openSync(path, PATH_ONLY)))) return null;
  try {
    const self = `/proc/self/fd/${handle}`;
    const { mode, dev, size } = fstatSync(handle);
    if (dev !== device) throw new Error("it is another file system; unmount it first");
    guard.directory(size);
    if ((mode & 0o700) !== 0o700) chmodSync(self, (mode & 0o7777) | 0o700);
    return openSync(`${self}/.`, DIRECTORY);
  } finally {
    closeSync(handle);
  }
}

/** What cannot be removed is said with where it lies; what lies deeper has said it already. */
function naming(parent: string, name: Buffer | string, fn: () => void): void {
  try {
    fn();
  } catch (cause) {
    if (cause instanceof LazarusError) throw cause;
    const path = `${placeOf(parent)}/${name}`;
    const why = systemCode(cause) ?? (cause as Error).message;
    const readable = JSON.stringify(path).slice(1, -1).slice(0, MOST_NAME);
    throw new LazarusError("directory", `deleting ${readable}: ${why}`, { retryable: true, cause });
  }
}

/** The system gives no path that is longer than its calls take. */
function placeOf(directory: string): string {
  try {
    return directory.startsWith("/proc/self/fd/") ? readlinkSync(directory) : directory;
  } catch {
    return "…";
  }
}
