import { constants } from "node:fs";
import { cp, type FileHandle, lstat, mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { CellUser } from "../../backends/backend.ts";
import { type CellPaths, directoryError } from "./directory.ts";
import { entriesOf, mustHoldFew } from "./entries-of.ts";
import { giveAway } from "./owner.ts";
import { removeTree } from "./remove-tree.ts";
import { below, inDirectory, isAbsent, openDirectory, readInside, writeWhole } from "./safe-files.ts";

/**
 * The home of setups: no agent can have that name. An agent's own holds its credentials, and what a setup
 * fetches is run by it.
 */
export const SETUP_HOME = ".setup";

/** The home of checks, in the same way; it is made anew for what is pushed next. */
export const CHECKS_HOME = ".checks";

/** A larger file of a template is none that a preset would add to. */
const MOST_BYTES = 1024 * 1024;

export interface HomePlan {
  readonly agent: string;
  /** Copied as it is: files, directories, links as links, modes; what is none of these is left out. */
  readonly template: string | null;
  /** Absolute paths below the home that must exist when the agent first starts. */
  readonly directories: readonly string[];
  /**
   * Files below the home, made from what the template has there (null: nothing); null leaves them as they
   * are.
   */
  readonly files: readonly { readonly path: string; fill(text: string | null): string | null }[];
  /** Whose it will be, and the PATH to make it so; null: ours. */
  readonly owner: Parameters<typeof giveAway>[1] | null;
}

/**
 * Makes an agent's home at its first run in a cell, aside and renamed, so that it is whole or not there. One
 * that is there is left alone.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function ensureHome(paths: CellPaths, plan: HomePlan): Promise<void> {
  const doing = `making the home of ${plan.agent} in ${paths.cell}`;
  try {
    const homes = await openDirectory(paths.cell, "home");
    try {
      const final = below(homes, plan.agent);
      if ((await lstat(final).catch(() => null))?.isDirectory()) return;
      // Aside means in `state/`, which is not the agents': in `home/` one of them could have left a link in
      // our way.
      const aside = `.home-${plan.agent}`;
      await removeTree(paths.state, aside);
      await fill(join(paths.state, aside), join(paths.home, plan.agent), plan);
      if (plan.owner !== null) await giveAway([join(paths.state, aside)], plan.owner);
      await rename(join(paths.state, aside), final);
      await homes.sync();
    } finally {
      await homes.close();
    }
  } catch (error) {
    throw directoryError(error, doing);
  }
}

/**
 * Closes the homes of all but one agent to the user that they share, and opens that one: only one run at a
 * time makes that enough. Agents may rename what lies there, so all of it is closed.
 * @throws LazarusError `directory`, `over-limit`.
 */
export async function openOneHome(
  paths: CellPaths,
  { agent, user }: { readonly agent: string; readonly user: CellUser },
): Promise<void> {
  try {
    const homes = await openDirectory(paths.cell, "home");
    try {
      await mustHoldFew(homes, "home/");
      for await (const entry of entriesOf(homes)) {
        const name = entry.name.toString();
        if (entry.isDirectory()) await lend(homes, { name, to: isOpen(name, agent) ? user : OURS });
      }
    } finally {
      await homes.close();
    }
  } catch (error) {
    throw directoryError(error, `closing the homes of others in ${paths.cell}`);
  }
}

const OURS = { uid: 0, gid: 0 } as const;

/** What the setup left is for all of them. */
function isOpen(name: string, agent: string): boolean {
  return name === agent || name === SETUP_HOME;
}

/** Opened first, so that it is what was looked at, and no link in its place. */
async function lend(
  homes: FileHandle,
  { name, to }: { readonly name: string; readonly to: { readonly uid: number; readonly gid: number } },
): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const home = await open(below(homes, name), flags).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (home === null) return;
  try {
    const { uid } = await home.stat();
    if (uid !== to.uid) await home.chown(to.uid, to.gid);
    if (to === OURS) await home.chmod(0o700);
  } finally {
    await home.close();
  }
}

async function fill(aside: string, final: string, plan: HomePlan): Promise<void> {
  await mkdir(aside, { mode: 0o700 });
  if (plan.template !== null) {
    await cp(plan.template, aside, {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
      filter: async (source) => {
        const stat = await lstat(source);
        return stat.isFile() || stat.isDirectory() || stat.isSymbolicLink();
      },
    });
  }
  for (const path of plan.directories) {
    if (path.startsWith(`${final}/`))
      await mkdir(join(aside, path.slice(final.length + 1)), { recursive: true, mode: 0o700 });
  }
  for (const file of plan.files) await fillFile(aside, file);
}

/** What a template has a link to is somebody else's, and stays as it is. */
async function fillFile(aside: string, { path, fill }: HomePlan["files"][number]): Promise<void> {
  const names = path.split("/");
  const file = names.pop() ?? "";
  for (const [at, name] of names.entries()) {
    await inDirectory(aside, names.slice(0, at), async (parent) => {
      if (!(await isThere(parent, name))) await mkdir(below(parent, name), { mode: 0o700 });
    });
  }
  await inDirectory(aside, names, async (directory) => {
    const there = await readInside(directory, file, { end: "start", maxBytes: MOST_BYTES });
    if (there?.cut || (there === null && (await isThere(directory, file)))) return;
    const text = fill(there?.text ?? null);
    if (text !== null) await writeWhole(directory, file, text);
  });
}

async function isThere(directory: FileHandle, name: string): Promise<boolean> {
  return (await lstat(below(directory, name)).catch(() => null)) !== null;
}
