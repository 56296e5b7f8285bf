import { constants } from "node:fs";
import { access, appendFile, mkdir, readdir, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isLent, lendMirror } from "../disk/owner.ts";
import type { Git } from "./git.ts";

export interface MirrorPlace {
  /** `<data>/mirrors` */
  readonly dir: string;
  readonly git: Git;
}

/** Added to what `git init` wrote, in the form of git-config(1): a git for each setting takes long. */
const SETTINGS = `[gc]
	auto = 0
	pruneExpire = never
[maintenance]
	auto = false
[core]
	hooksPath = /dev/null
[fetch]
	writeCommitGraph = false
`;

/**
 * Makes the bare repository at `path`, or readies the one that is there: what a fetch that was killed left is
 * removed. @throws LazarusError `git`.
 */
export async function openMirror(options: MirrorPlace, path: string): Promise<void> {
  const exists = await access(join(path, "HEAD"), constants.R_OK).then(
    () => true,
    () => false,
  );
  if (exists) return removeStale(path);
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const fresh = `${path}.new`;
  await rm(fresh, { recursive: true, force: true });
  const doing = `making the mirror ${path}`;
  await options.git({ dir: options.dir, args: ["init", "--bare", "--quiet", "--template=", fresh], doing });
  await appendFile(join(fresh, "config"), SETTINGS);
  await rename(fresh, path);
}

/**
 * Readable for the group, and not writable: git's own word `group` would let every cell change what all the
 * others borrow. Set first, so that a fetch that is under way leaves what we have not seen readable as well.
 * @see git-config(1), core.sharedRepository
 */
export async function share(options: Pick<MirrorPlace, "git">, path: string, gid: number): Promise<void> {
  if (await isLent(path, gid)) return;
  const args = ["config", "core.sharedRepository", "0640"];
  await options.git({ dir: path, args, doing: `sharing the mirror ${path}` });
  await lendMirror(path, gid);
}

/**
 * What a fetch that was killed left behind: nobody else uses this repository, so no lock in it is anybody's.
 */
async function removeStale(path: string): Promise<void> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (entry.isFile() && (entry.name.endsWith(".lock") || /^(tmp_|\.tmp-)/.test(entry.name))) {
      await unlink(join(entry.parentPath, entry.name));
    }
  }
}

/**
 * Removes what a fetch that failed had begun to write: git leaves it, and each try would leave more. No other
 * fetch may be under way.
 */
export async function dropHalfPacks(path: string): Promise<void> {
  const packs = join(path, "objects", "pack");
  for (const name of await readdir(packs).catch(() => []))
    if (name.startsWith("tmp_")) await rm(join(packs, name), { force: true });
}
