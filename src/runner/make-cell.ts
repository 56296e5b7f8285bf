import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, toIso } from "../clock.ts";
import { LazarusError } from "../errors.ts";
import type { CellSpec } from "../protocol/shapes.ts";
import type { WorkLimits } from "./confined.ts";
import {
  type CellPaths,
  directoryError,
  noteInDaemonLog,
  pathsOf,
  SCAFFOLD,
  whatIs,
  writeFileInside,
  writeHeartbeat,
  writeJson,
} from "./disk/directory.ts";
import { mayBeFull } from "./disk/full-disk.ts";
import { giveAway, lendCell, lendPassage } from "./disk/owner.ts";
import { removeTree } from "./disk/remove-tree.ts";
import { mustFit } from "./git/count-tree.ts";
import type { Git } from "./git/git.ts";
import type { Mirrors } from "./git/mirror.ts";

export interface WorkspaceDeps {
  readonly missionsDir: string;
  readonly git: Git;
  readonly mirrors: Mirrors;
  readonly clock: Clock;
  readonly childPath: string;
  /** What the files of a cell may take at its start. */
  readonly diskBytes: number;
  readonly limits: WorkLimits;
}

export interface CellPlan {
  readonly cell: CellSpec;
  readonly backend: string;
  readonly limits: Readonly<Record<string, unknown>>;
}

/**
 * Makes a cell's directory from its specification, or finds it made: built as `.new-<id>` and renamed when
 * whole. What a killed attempt left of it is thrown away first.
 * @throws LazarusError `git`, `directory`, `disk-full`; on a throw nothing of the half-made cell stays.
 */
export async function makeCell(deps: WorkspaceDeps, plan: CellPlan, signal: AbortSignal): Promise<CellPaths> {
  const { cell } = plan;
  const paths = pathsOf(join(deps.missionsDir, cell.id));
  const there = await whatIs(paths.cell);
  if (there === "other")
    throw new LazarusError("directory", `making cell ${cell.id}: ${paths.cell} is not a directory`);
  if (there === "directory") {
    await deps.mirrors.keep(cell.repository, cell.id, cell.baseCommit).catch(() => {});
    return paths;
  }
  const mirror = await deps.mirrors.provide(
    cell.repository,
    { commit: cell.baseCommit, ref: cell.baseRef, group: cell.user?.groups[0] ?? null },
    signal,
  );
  await deps.mirrors.keep(cell.repository, cell.id, cell.baseCommit);
  const fresh = pathsOf(join(deps.missionsDir, `.new-${cell.id}`));
  try {
    await removeTree(deps.missionsDir, `.new-${cell.id}`);
    await makeScaffold(fresh);
    await clone(deps, { cell, mirror, fresh }, signal);
    await writeContract(deps, plan, fresh);
    if (cell.user !== null) {
      const { home, artifacts } = fresh;
      await giveAway([home, artifacts], { user: cell.user, path: deps.childPath });
      await lendCell(fresh, cell.user);
    }
    signal.throwIfAborted();
    await syncDirectories(fresh);
    await rename(fresh.cell, paths.cell);
    await syncDirectory(deps.missionsDir);
  } catch (error) {
    await removeTree(deps.missionsDir, `.new-${cell.id}`).catch(() => {});
    await deps.mirrors.release(cell.repository, cell.id).catch(() => {});
    throw directoryError(error, `making cell ${cell.id}`);
  }
  return paths;
}

async function makeScaffold(fresh: CellPaths): Promise<void> {
  await mkdir(fresh.cell, { mode: 0o700 });
  for (const names of SCAFFOLD) await mkdir(join(fresh.cell, ...names), { mode: 0o700 });
  // git would make it for everybody to read.
  await mkdir(fresh.worktree, { mode: 0o700 });
}

/** No repository that people work in has more. */
const MOST_FILES = 1_000_000;
/** Files that fit may have to be written to a slow disk. */
const CHECKOUT_MS = 60 * 60_000;

/**
 * A clone of its own that borrows the mirror's objects. Its files are written with the rights of the cell's
 * user, where it has one.
 */
async function clone(
  deps: WorkspaceDeps,
  what: { readonly cell: CellSpec; readonly mirror: string; readonly fresh: CellPaths },
  signal: AbortSignal,
): Promise<void> {
  const { cell, mirror, fresh } = what;
  const { user } = cell;
  const { worktree } = fresh;
  const doing = `cloning ${cell.repository.fullName} into cell ${cell.id.slice(0, 8)}`;
  const cloning = ["clone", "--quiet", "--shared", "--no-checkout", "--template=", mirror, worktree];
  await deps.git({ dir: deps.missionsDir, args: cloning, doing, signal, files: true });
  const { diskBytes: mostBytes, limits } = deps;
  const tree = { repository: mirror, commit: cell.baseCommit, mostFiles: MOST_FILES, mostBytes };
  await mustFit(deps.git, { ...tree, doing, limits });
  const url = deps.mirrors.cloneUrl(cell.repository);
  await deps.git({ dir: worktree, args: ["remote", "set-url", "origin", url], doing, signal });
  if (user !== null) {
    // The last that we do in there.
    await giveAway([worktree], { user, path: deps.childPath });
    await lendPassage(fresh, user);
  }
  // The clone has made the mirror's own HEAD a branch already, which may be this very one.
  const checkout = ["checkout", "--quiet", "--no-track", "-B", cell.branch, cell.baseCommit];
  // Writing files waits more than it computes: more hands than cores make a large tree twice as fast. Small
  // ones stay with one.
  const config = { "checkout.workers": "4" };
  const how = { dir: worktree, args: checkout, doing, signal, config, user, mostMs: CHECKOUT_MS };
  await deps.git(how).catch(async (error: unknown) => {
    if (!(error instanceof LazarusError)) throw error;
    // The name of a file can say so as well.
    const isFull = error.code === "disk-full" && (await mayBeFull([worktree], 0));
    if (isFull || (error.code !== "git" && error.code !== "disk-full")) throw error;
    // The same files in the same place fail again, however often it is tried.
    throw new LazarusError("git", error.message, { cause: error });
  });
}

async function writeContract(deps: WorkspaceDeps, plan: CellPlan, fresh: CellPaths): Promise<void> {
  const { cell } = plan;
  const final = pathsOf(join(deps.missionsDir, cell.id));
  await writeJson(fresh.cell, ["meta"], "mission.json", {
    mission_id: cell.id,
    created_at: toIso(cell.createdAt),
    status: "proposed",
    title: cell.title,
    target: cell.target,
    issue_url: cell.issueUrl,
    requested_by: cell.requestedBy,
    members: cell.members,
    brief_sha256: cell.briefSha256,
    history: [
      { at: toIso(cell.createdAt), from: null, to: "proposed", who: cell.requestedBy, why: "asked for" },
    ],
  });
  await writeJson(fresh.cell, ["config"], "cell.json", {
    worktree: final.worktree,
    artifacts: final.artifacts,
    heartbeat: join(final.state, "heartbeat.json"),
    logs: final.logs,
    backend: plan.backend,
    limits: plan.limits,
    branch: cell.branch,
    base_commit: cell.baseCommit,
  });
  await writeFileInside(fresh.cell, ["config"], "brief.md", cell.brief);
  const at = toIso(deps.clock.now());
  await writeHeartbeat(fresh.cell, { at, state: "starting", by: "runner" });
  await noteInDaemonLog(fresh.cell, { at, what: "cell made", branch: cell.branch, base: cell.baseCommit });
}

async function syncDirectories(fresh: CellPaths): Promise<void> {
  for (const names of SCAFFOLD) await syncDirectory(join(fresh.cell, ...names));
  await syncDirectory(fresh.cell);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
