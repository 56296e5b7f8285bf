import { lchown, mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, toIso } from "../clock.ts";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { CellSpec } from "../protocol/shapes.ts";
import { syncDirectory } from "../sync-directory.ts";
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
import { lendCell, lendPassage } from "./disk/owner.ts";
import { removeTree } from "./disk/remove-tree.ts";
import { type CloneDeps, cloneTree, type SpareTree } from "./git/clone-tree.ts";
import type { Mirrors } from "./git/mirror.ts";
import type { Spares } from "./spares.ts";

export interface WorkspaceDeps extends CloneDeps {
  readonly missionsDir: string;
  readonly mirrors: Mirrors;
  readonly spares: Pick<Spares, "take">;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
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
  const group = cell.user?.groups[0] ?? null;
  const base = { commit: cell.baseCommit, ref: cell.baseRef, group, cellId: cell.id };
  const mirror = await deps.mirrors.provideBase(cell.repository, base, signal);
  if (cell.startsAt !== null) {
    await deps.mirrors.provide(cell.repository, { ...cell.startsAt, group }, signal);
    await deps.mirrors.keepTheirs(cell.repository, cell.id, cell.startsAt.commit);
  }
  const fresh = pathsOf(join(deps.missionsDir, `.new-${cell.id}`));
  try {
    await removeTree(deps.missionsDir, `.new-${cell.id}`);
    await makeScaffold(fresh, cell.user);
    const [isSpare] = await bothOf(
      makeTree(deps, { cell, mirror, fresh }, signal),
      writeContract(deps, plan, fresh),
    );
    await noteMade(deps, { cell, isSpare }, fresh);
    if (cell.user !== null) await lendCell(fresh, cell.user);
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

interface TreePlan {
  readonly cell: CellSpec;
  readonly mirror: string;
  readonly fresh: CellPaths;
}

/** With a tree that waits, where there is one that can be used; else by a whole checkout. */
async function makeTree(deps: WorkspaceDeps, what: TreePlan, signal: AbortSignal): Promise<boolean> {
  const { cell, fresh } = what;
  const spare = await deps.spares.take(cell.repository, { user: cell.user, commit: commitOf(cell) });
  if (spare === null) {
    await clone(deps, { ...what, spare }, signal);
    return false;
  }
  try {
    await clone(deps, { ...what, spare }, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    deps.log.warn({ cell: cell.id, why: explain(error) }, "the tree that waited is of no use");
    await removeTree(fresh.cell, "worktree");
    await mkdir(fresh.worktree, { mode: 0o700 });
    await clone(deps, { ...what, spare: null }, signal);
    return false;
  } finally {
    await spare.remove();
  }
}

/** Neither is at work any more when it answers, or throws. */
async function bothOf<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

const ITS_USERS: readonly string[] = ["home", "artifacts"];

function commitOf(cell: CellSpec): string {
  return cell.startsAt?.commit ?? cell.baseCommit;
}

/** `home`, `artifacts` and what is in them are the cell's user's. */
async function makeScaffold(fresh: CellPaths, user: CellSpec["user"]): Promise<void> {
  await mkdir(fresh.cell, { mode: 0o700 });
  for (const names of SCAFFOLD) {
    const dir = join(fresh.cell, ...names);
    await mkdir(dir, { mode: 0o700 });
    if (user !== null && ITS_USERS.includes(names[0])) await lchown(dir, user.uid, user.gid);
  }
  // git would make it for everybody to read.
  await mkdir(fresh.worktree, { mode: 0o700 });
}

async function clone(
  deps: WorkspaceDeps,
  { cell, mirror, fresh, spare }: TreePlan & { readonly spare: SpareTree | null },
  signal: AbortSignal,
): Promise<void> {
  const { user } = cell;
  const commit = commitOf(cell);
  const plan = {
    ...{ mirror, spare },
    dir: fresh.worktree,
    url: deps.mirrors.cloneUrl(cell.repository),
    commit,
    branch: cell.branch,
    user,
    doing: `cloning ${cell.repository.fullName} into cell ${cell.id.slice(0, 8)}`,
    given: user === null ? async () => {} : () => lendPassage(fresh, user),
  };
  await cloneTree(deps, plan, signal);
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
  await writeHeartbeat(fresh.cell, { at: toIso(deps.clock.now()), state: "starting", by: "runner" });
}

async function noteMade(
  { clock }: WorkspaceDeps,
  { cell, isSpare }: { readonly cell: CellSpec; readonly isSpare: boolean },
  fresh: CellPaths,
): Promise<void> {
  await noteInDaemonLog(fresh.cell, {
    ...{ at: toIso(clock.now()), what: "cell made", branch: cell.branch, base: cell.baseCommit },
    ...(isSpare ? { from: "a tree that waited" } : {}),
  });
}

async function syncDirectories(fresh: CellPaths): Promise<void> {
  const all = SCAFFOLD.map((names) => syncDirectory(join(fresh.cell, ...names)));
  await Promise.all(all);
  await syncDirectory(fresh.cell);
}
