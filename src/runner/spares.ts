import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rmdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { CellUser } from "../backends/backend.ts";
import type { Clock } from "../clock.ts";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import { prepareRoot } from "./disk/directory.ts";
import { lendPassage } from "./disk/owner.ts";
import { removeTree } from "./disk/remove-tree.ts";
import { type CloneDeps, cloneTree, type SpareTree } from "./git/clone-tree.ts";
import type { Mirrors } from "./git/mirror.ts";

export interface SpareDeps extends CloneDeps {
  readonly missionsDir: string;
  readonly mirrors: Mirrors;
  readonly clock: Clock;
  readonly log: Log;
  /** How many wait at most (0: none), and what they leave free of the disk. */
  readonly room: { readonly spares: number; readonly freeBytes: number };
}

export interface SparePlan {
  readonly repository: RepositoryRef;
  readonly user: CellUser | null;
  readonly ref: string;
  readonly commit: string;
}

export interface Spare extends SpareTree {
  /** Throws nothing: what is left of it goes, at the next start at the latest. */
  remove(): Promise<void>;
}

/**
 * Checked-out trees that wait for the next cells, at most one for each repository. They lie where cells do,
 * as `.new-<id>`, and are known to this process alone: the next start removes them. Their directory is
 * closed to their user, so no agent has been in one.
 */
export interface Spares {
  /**
   * Makes the tree of a repository, in place of one of another commit or user. It makes none where the disk
   * is as good as full. @throws LazarusError as `cloneTree` does.
   */
  make(plan: SparePlan, signal: AbortSignal): Promise<void>;
  /**
   * A tree of that repository and user from which `commit` is reached by what differs, which is the caller's
   * from then on; null: there is none.
   */
  take(
    repository: RepositoryRef,
    want: { readonly user: CellUser | null; readonly commit: string },
  ): Promise<Spare | null>;
  /** Throws them away, and answers how many there were. */
  clear(): Promise<number>;
  /** Ids of the repositories that one waits for. */
  repositories(): number[];
}

interface Waiting {
  readonly commit: string;
  /** Below the missions root. */
  readonly name: string;
  readonly uid: number | null;
  /** Of the mirror, when it was made; and what its `origin` is called. */
  readonly generation: number;
  readonly url: string;
  readonly madeAt: number;
}

const OLDEST_MS = 7 * 24 * 60 * 60_000;

export function createSpares(deps: SpareDeps): Spares {
  const { missionsDir, clock, log } = deps;
  /** By the repository's id, the oldest first. */
  const waiting = new Map<number, Waiting>();
  let last: Promise<unknown> = Promise.resolve();

  const drop = async (id: number): Promise<void> => {
    const spare = waiting.get(id);
    waiting.delete(id);
    if (spare !== undefined) await remove(deps, spare.name);
  };

  const make = async (plan: SparePlan, signal: AbortSignal): Promise<void> => {
    const { repository, user, commit } = plan;
    for (const [id, { madeAt }] of waiting) if (clock.monotonic() - madeAt > OLDEST_MS) await drop(id);
    const known = waiting.get(repository.id);
    if (deps.room.spares === 0 || (known?.commit === commit && known.uid === (user?.uid ?? null))) return;
    await drop(repository.id);
    for (const id of [...waiting.keys()].slice(0, Math.max(0, waiting.size + 1 - deps.room.spares)))
      await drop(id);
    await prepareRoot(missionsDir, deps.room.freeBytes);
    const name = `.new-${randomUUID()}`;
    try {
      const { generation, url } = await build(deps, { ...plan, name }, signal);
      await prepareRoot(missionsDir, deps.room.freeBytes);
      const uid = user?.uid ?? null;
      waiting.set(repository.id, { commit, name, uid, generation, url, madeAt: clock.monotonic() });
    } catch (error) {
      await removeTree(missionsDir, name).catch(() => {});
      throw error;
    }
  };

  const clear = async (): Promise<number> => {
    const ids = [...waiting.keys()];
    for (const id of ids) await drop(id);
    return ids.length;
  };

  return {
    clear,
    repositories: () => [...waiting.keys()],
    make(plan, signal) {
      const making = last.then(() => make(plan, signal));
      last = making.catch(() => {});
      return making.catch(async (error: unknown) => {
        if (!(error instanceof LazarusError) || error.code !== "disk-full") throw error;
        log.info({ trees: await clear(), why: explain(error) }, "no tree waits for the next summon");
      });
    },
    async take(repository, { user, commit }) {
      const spare = waiting.get(repository.id);
      if (spare === undefined || spare.uid !== (user?.uid ?? null)) return null;
      waiting.delete(repository.id);
      // Where git fails, the clone that comes next fails in its own words.
      const isNear = () => haveSameAttributes(deps, repository, [spare.commit, commit]).catch(() => false);
      if (spare.commit === commit || (await isNear())) return toTake(deps, repository, spare);
      await remove(deps, spare.name);
      return null;
    },
  };
}

/** Attributes say how files are written, also those that do not differ. */
async function haveSameAttributes(
  { git, mirrors }: Pick<SpareDeps, "git" | "mirrors">,
  repository: RepositoryRef,
  commits: readonly [string, string],
): Promise<boolean> {
  const where = ["--", ":(top,glob)**/.gitattributes"];
  const { stdout } = await git({
    dir: mirrors.path(repository),
    args: ["diff-tree", "-r", "--name-only", "--no-renames", ...commits, ...where],
    doing: `comparing attributes of ${repository.fullName}`,
  });
  return stdout === "";
}

/** Answers what its clone was made from. */
async function build(
  { missionsDir, mirrors, ...deps }: SpareDeps,
  { repository, user, ref, commit, name }: SparePlan & { readonly name: string },
  signal: AbortSignal,
): Promise<Pick<Waiting, "generation" | "url">> {
  const want = { commit, ref, group: user?.groups[0] ?? null };
  const mirror = await mirrors.provide(repository, want, signal);
  const from = { generation: mirrors.generation(repository), url: mirrors.cloneUrl(repository) };
  const cell = join(missionsDir, name);
  const dir = join(cell, TREE);
  await mkdir(cell, { mode: 0o700 });
  await mkdir(dir, { mode: 0o700 });
  const plan = {
    ...{ mirror, commit, user, dir, url: from.url },
    ...{ branch: null, spare: null },
    doing: `making a tree of ${repository.fullName} that waits`,
    given: user === null ? async () => {} : () => lendPassage({ cell }, user),
  };
  await cloneTree(deps, plan, signal);
  await close(cell);
  return from;
}

const TREE = "worktree";

function toTake(deps: SpareDeps, repository: RepositoryRef, { commit, name, ...from }: Waiting): Spare {
  const { missionsDir, mirrors } = deps;
  const isWhole =
    from.generation === mirrors.generation(repository) && from.url === mirrors.cloneUrl(repository);
  const tree = join(missionsDir, name, TREE);
  const own = join(tree, ".git");
  return {
    ...{ commit, isWhole },
    async moveTo(dir) {
      // Files as young as their index count as changed until they are read again: nobody changed one since.
      const now = Date.now() / 1_000;
      await utimes(join(own, "index"), now, now);
      if (!isWhole) {
        const fresh = join(dir, ".git");
        await rename(join(own, "index"), join(fresh, "index"));
        await rename(own, join(missionsDir, name, "git"));
        await rename(fresh, own);
      }
      await rmdir(dir);
      await rename(tree, dir);
    },
    remove: () => remove(deps, name),
  };
}

async function remove({ missionsDir, log }: SpareDeps, name: string): Promise<void> {
  await removeTree(missionsDir, name).catch((error: unknown) =>
    log.warn({ what: name, why: explain(error) }, "a tree that waited is removed at the next start"),
  );
}

/** From now on nobody but us passes. */
async function close(dir: string): Promise<void> {
  const handle = await open(dir);
  try {
    await handle.chmod(0o700);
    await handle.chown(process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  } finally {
    await handle.close();
  }
}
