import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Surroundings } from "../../backends/backend.ts";
import { LazarusError } from "../../errors.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import type { PlannedCommand } from "../commands/planned-commands.ts";
import { commandSurroundings } from "../commands/start-command.ts";
import type { Confines } from "../confinement.ts";
import type { Parts } from "../context.ts";
import { type CellPaths, directoryError, pathsOf, whatIs } from "../disk/directory.ts";
import { entriesOf } from "../disk/entries-of.ts";
import { closeWork } from "../disk/guest-room.ts";
import { CHECKS_HOME, ensureHome, openOneHome } from "../disk/home.ts";
import { lendFile, lendPassage } from "../disk/owner.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { inDirectory } from "../disk/safe-files.ts";
import { cloneTree } from "../git/clone-tree.ts";

type Checked = JobPayload<"check">;

/** Removes what earlier checks of a cell left: their clones, and their home. Nothing of it may be at work. */
export async function clearChecks(cellDir: string): Promise<void> {
  const paths = pathsOf(cellDir);
  await removeTree(paths.cell, "checks");
  // Agents may put a link where their homes are.
  await inDirectory(paths.cell, ["home"], (homes) => removeTree(`/proc/self/fd/${homes.fd}`, CHECKS_HOME));
}

/** A clone in the making begins with it. */
const HALF_MADE = ".new-";

/** Removes what a check that was ended, or killed, left of a clone in the making. */
export async function clearHalfMade(cellDir: string): Promise<void> {
  await inDirectory(pathsOf(cellDir).cell, ["checks"], async (checks) => {
    for await (const entry of entriesOf(checks)) {
      const name = entry.name.toString();
      if (name.startsWith(HALF_MADE)) await removeTree(`/proc/self/fd/${checks.fd}`, name);
    }
  });
}

/**
 * Makes a clean clone of a commit for a cell's checks, aside and renamed, and their home; what is there
 * already is left alone. The homes of agents, their tree and artifacts are closed meanwhile, where the cell
 * has a user of its own.
 * @throws LazarusError `git`, `directory`, `disk-full`, `over-limit`.
 */
export async function makePlace(parts: Parts, what: Checked, signal: AbortSignal): Promise<string> {
  const { user, commit } = what;
  const paths = pathsOf(parts.cellDir(what.cellId));
  const place = join(paths.checks, commit.slice(0, 8));
  await ensureHome(paths, {
    agent: CHECKS_HOME,
    template: null,
    directories: [artifactsOf(paths)],
    files: [],
    owner: user === null ? null : { user, path: parts.config.childPath },
  });
  if (user !== null) {
    await lendPassage(paths, user);
    await openOneHome(paths, { agent: CHECKS_HOME, user });
    // What is pushed runs here, with the rights of its agent: whoever works in the tree next opens it again.
    await closeWork(paths, { agent: CHECKS_HOME, user });
  }
  if ((await whatIs(place)) !== "directory") await clone(parts, { what, paths, place }, signal);
  return place;
}

async function clone(
  parts: Parts,
  { what, paths, place }: { readonly what: Checked; readonly paths: CellPaths; readonly place: string },
  signal: AbortSignal,
): Promise<void> {
  const { repository, commit, ref, user } = what;
  const doing = `cloning ${repository.fullName} for the checks of cell ${what.cellId.slice(0, 8)}`;
  const want = { commit, ref, group: user?.groups[0] ?? null };
  const mirror = await parts.mirrors.provide(repository, want, signal);
  const aside = `${HALF_MADE}${commit.slice(0, 8)}`;
  try {
    await mkdir(paths.checks, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if ((await whatIs(paths.checks)) !== "directory")
      throw new LazarusError("directory", `${doing}: ${paths.checks} is no directory`);
    if (user !== null) await lendFile(paths, { names: [], file: "checks", mode: 0o710 }, user);
    await removeTree(paths.checks, aside);
    await mkdir(join(paths.checks, aside), { mode: 0o700 });
    const { limits, childPath } = parts.config;
    const deps = { git: parts.git, childPath, diskBytes: limits.diskBytes, limits: parts.workLimits };
    const url = parts.mirrors.cloneUrl(repository);
    const plan = { mirror, url, commit, user, doing, dir: join(paths.checks, aside) };
    await cloneTree(deps, { ...plan, branch: null, spare: null, given: async () => {} }, signal);
    await rename(plan.dir, place);
  } catch (error) {
    // What cannot be removed now goes with the next plan of checks.
    await removeTree(paths.checks, aside).catch(() => {});
    throw directoryError(error, doing);
  }
}

function artifactsOf(paths: Pick<CellPaths, "home">): string {
  return join(paths.home, CHECKS_HOME, ".out");
}

/** What every process of a check gets; its tree is the clone. */
export function checkSurroundings(
  parts: Pick<Parts, "cellDir" | "mirrors" | "config">,
  cell: Pick<CellSpec, "id" | "repository" | "user">,
  how: { readonly confines: Confines; readonly place: string } & Pick<PlannedCommand, "network" | "set">,
): Surroundings {
  const around = commandSurroundings(parts, cell, { ...how, home: CHECKS_HOME });
  const artifacts = artifactsOf(pathsOf(parts.cellDir(cell.id)));
  return { ...around, dirs: { ...around.dirs, worktree: how.place, artifacts } };
}
