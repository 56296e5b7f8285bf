import { cp, lstat, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { type CellPaths, directoryError } from "./directory.ts";
import { giveAway } from "./owner.ts";
import { removeTree } from "./remove-tree.ts";
import { below, openDirectory } from "./safe-files.ts";

export interface HomePlan {
  readonly agent: string;
  /** Copied as it is: files, directories, links as links, modes; what is none of these is left out. */
  readonly template: string | null;
  /** Absolute paths below the home that must exist when the agent first starts. */
  readonly directories: readonly string[];
  /** Whose it will be, and the PATH to make it so; null: ours. */
  readonly owner: Parameters<typeof giveAway>[1] | null;
}

/**
 * Makes an agent's home at its first run in a cell, aside and renamed, so that it is whole or not there. One that is there is left alone.
 * @throws LazarusError `directory` or `disk-full`.
 */
export async function ensureHome(paths: CellPaths, plan: HomePlan): Promise<void> {
  const doing = `making the home of ${plan.agent} in ${paths.cell}`;
  try {
    const homes = await openDirectory(paths.cell, "home");
    try {
      const final = below(homes, plan.agent);
      if ((await lstat(final).catch(() => null))?.isDirectory()) return;
      // Aside means in `state/`, which is not the agents': in `home/` one of them could have left a link in our way.
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
}
