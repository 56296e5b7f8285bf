import { constants } from "node:fs";
import { type FileHandle, lchown, lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { CellUser } from "../../backends/backend.ts";
import { type CellPaths, directoryError } from "./directory.ts";
import { entriesOf, mustHoldFew } from "./entries-of.ts";
import { removeTree } from "./remove-tree.ts";
import { below, isAbsent, openDirectory } from "./safe-files.ts";

/** Where an observer's own things lie below a cell; its copy of the tree is there only where it needs one. */
export function roomOf(paths: CellPaths, agent: string): { artifacts: string; tree: string } {
  return {
    artifacts: join(paths.artifacts, ...GUESTS_BELOW, agent),
    tree: join(paths.cell, GUESTS, agent, "tree"),
  };
}

const GUESTS = "guests";
const GUESTS_BELOW = [GUESTS] as const;
const OURS = { uid: 0, gid: 0 } as const;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface Host {
  readonly agent: string;
  /** Null: the user that Lazarus runs as. */
  readonly user: CellUser | null;
}

/**
 * Makes the place below `artifacts/` where an observer leaves its report. What an agent has put in its place
 * goes.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function makeRoom(paths: CellPaths, { agent, user }: Host): Promise<void> {
  try {
    let parent = await openDirectory(paths.artifacts);
    let at = paths.artifacts;
    for (const name of [...GUESTS_BELOW, agent, "reports"]) {
      const before = parent;
      try {
        if (!(await lstat(below(parent, name)).catch(() => null))?.isDirectory()) {
          await removeTree(at, name);
          await mkdir(below(parent, name), { mode: 0o700 });
        }
        parent = await open(below(parent, name), DIRECTORY);
        if (user !== null) await parent.chown(user.uid, user.gid);
      } finally {
        await before.close();
      }
      at = join(at, name);
    }
    await parent.close();
  } catch (error) {
    throw directoryError(error, `making room for ${agent} in ${paths.artifacts}`);
  }
}

/**
 * Makes the empty place, below the cell's own directory, that an observer's copy of the tree is put into.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function makePlaceForCopy(paths: CellPaths, { agent, user }: Host): Promise<void> {
  try {
    await removeCopy(paths);
    const own = process.geteuid?.() ?? 0;
    const made: [string, number, number, number][] = [
      [join(paths.cell, GUESTS), own, user?.gid ?? -1, 0o710],
      [join(paths.cell, GUESTS, agent), user?.uid ?? own, user?.gid ?? -1, 0o700],
    ];
    for (const [path, uid, gid, mode] of made) {
      await mkdir(path, { mode: 0o700 });
      const directory = await open(path, DIRECTORY);
      try {
        if (user !== null) await directory.chown(uid, gid);
        await directory.chmod(user === null ? 0o700 : mode);
      } finally {
        await directory.close();
      }
    }
  } catch (error) {
    throw directoryError(error, `making room for the copy of ${agent} in ${paths.cell}`);
  }
}

/** Whatever observers' copies of the tree there are. */
export async function removeCopy(paths: CellPaths): Promise<void> {
  await removeTree(paths.cell, GUESTS);
}

/**
 * Closes what others made to the user that they share with an observer, or with checks, for which no backend
 * does it: the tree, and all of `artifacts/` but the observer's own.
 * @throws LazarusError `directory`, `over-limit`.
 */
export async function closeWork(
  paths: CellPaths,
  { agent, user }: { readonly agent: string; readonly user: CellUser },
): Promise<void> {
  try {
    await withDirectory([paths.artifacts], (artifacts) => mustHoldFew(artifacts, "artifacts/"));
    await withDirectory([paths.worktree], (tree) => give(tree, OURS, 0o700));
    await withDirectory([paths.artifacts], async (artifacts) => {
      // Before all that is in it: as long as it is ours, `openWork` has something to do.
      await give(artifacts, { uid: 0, gid: user.gid }, 0o710);
      await giveEntries(artifacts, { to: OURS, except: GUESTS });
    });
    await withDirectory([paths.artifacts, GUESTS], async (guests) => {
      await give(guests, { uid: 0, gid: user.gid }, 0o710);
      await giveEntries(guests, { to: OURS, except: agent });
    });
  } catch (error) {
    throw directoryError(error, `closing the work in ${paths.cell} to a guest`);
  }
}

/**
 * Gives back what was closed to an observer; nothing to do where nothing was.
 * @throws LazarusError `directory`.
 */
export async function openWork(paths: CellPaths, user: CellUser): Promise<void> {
  try {
    await withDirectory([paths.worktree], async (tree) => {
      if ((await tree.stat()).uid !== user.uid) await give(tree, user, 0o700);
    });
    await withDirectory([paths.artifacts], async (artifacts) => {
      if ((await artifacts.stat()).uid === user.uid) return;
      await withDirectory([paths.artifacts, GUESTS], async (guests) => {
        await giveEntries(guests, { to: user, except: null });
      });
      await giveEntries(artifacts, { to: user, except: null });
      await give(artifacts, user, 0o700);
    });
  } catch (error) {
    throw directoryError(error, `opening the work in ${paths.cell}`);
  }
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

async function give(directory: FileHandle, to: Owner, mode: number): Promise<void> {
  await directory.chown(to.uid, to.gid);
  await directory.chmod(mode);
}

/** What lies right below; a directory is shut for others as well, so that what is deeper need not be seen. */
async function giveEntries(
  directory: FileHandle,
  { to, except }: { readonly to: Owner; readonly except: string | null },
): Promise<void> {
  for await (const entry of entriesOf(directory)) {
    const name = entry.name.toString();
    if (name === except) continue;
    if (!entry.isDirectory()) {
      await lchown(below(directory, name), to.uid, to.gid);
      continue;
    }
    const one = await open(below(directory, name), DIRECTORY);
    try {
      await give(one, to, 0o700);
    } finally {
      await one.close();
    }
  }
}

/** Calls `fn` with a directory, opened through no link in its names; nothing happens where there is none. */
async function withDirectory(
  [root, ...names]: readonly [string, ...string[]],
  fn: (directory: FileHandle) => Promise<void>,
): Promise<void> {
  let directory: FileHandle;
  try {
    directory = await openDirectory(root, ...names);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  try {
    await fn(directory);
  } finally {
    await directory.close();
  }
}
