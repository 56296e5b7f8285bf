import { mkdir, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, toIso } from "../clock.ts";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { CellSpec } from "../protocol/shapes.ts";
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
import { giveAway, lendCell, lendPassage } from "./disk/owner.ts";
import { removeTree } from "./disk/remove-tree.ts";
import { type CloneDeps, cloneTree, type SpareTree } from "./git/clone-tree.ts";
import type { Mirrors } from "./git/mirror.ts";
import type { Spare, Spares } from "./spares.ts";

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
  const mirror = await deps.mirrors.provide(
    cell.repository,
    { commit: cell.baseCommit, ref: cell.baseRef, group: cell.user?.groups[0] ?? null },
    signal,
  );
  await deps.mirrors.keep(cell.repository, cell.id, cell.baseCommit);
  if (cell.startsAt !== null) {
    await deps.mirrors.provide(
      cell.repository,
      { ...cell.startsAt, group: cell.user?.groups[0] ?? null },
      signal,
    );
    await deps.mirrors.keepTheirs(cell.repository, cell.id, cell.startsAt.commit);
  }
  const fresh = pathsOf(join(deps.missionsDir, `.new-${cell.id}`));
  try {
    const isSpare = await makeTree(deps, { cell, mirror, fresh }, signal);
    await writeContract(deps, { ...plan, isSpare }, fresh);
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

interface TreePlan {
  readonly cell: CellSpec;
  readonly mirror: string;
  readonly fresh: CellPaths;
}

/** With a tree that waits, where there is one that can be used; else by a whole checkout. */
async function makeTree(deps: WorkspaceDeps, what: TreePlan, signal: AbortSignal): Promise<boolean> {
  const { cell } = what;
  const want = { user: cell.user, commit: commitOf(cell) };
  const spare = await deps.spares.take(cell.repository, want);
  const isUsed = spare !== null && (await tryWith(spare));
  if (!isUsed) await scaffoldAndClone(deps, { ...what, spare: null }, signal);
  return isUsed;

  async function tryWith(spare: Spare): Promise<boolean> {
    try {
      await scaffoldAndClone(deps, { ...what, spare }, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      deps.log.warn({ cell: cell.id, why: explain(error) }, "the tree that waited is of no use");
      return false;
    } finally {
      await spare.remove();
    }
  }
}

async function scaffoldAndClone(
  deps: WorkspaceDeps,
  what: TreePlan & { readonly spare: SpareTree | null },
  signal: AbortSignal,
): Promise<void> {
  await removeTree(deps.missionsDir, `.new-${what.cell.id}`);
  await makeScaffold(what.fresh);
  await clone(deps, what, signal);
}

function commitOf(cell: CellSpec): string {
  return cell.startsAt?.commit ?? cell.baseCommit;
}

async function makeScaffold(fresh: CellPaths): Promise<void> {
  await mkdir(fresh.cell, { mode: 0o700 });
  for (const names of SCAFFOLD) await mkdir(join(fresh.cell, ...names), { mode: 0o700 });
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
    // The clone has made the mirror's own HEAD a branch already, which may be this very one.
    at: ["--no-track", "-B", cell.branch, commit],
    user,
    doing: `cloning ${cell.repository.fullName} into cell ${cell.id.slice(0, 8)}`,
    given: user === null ? async () => {} : () => lendPassage(fresh, user),
  };
  await cloneTree(deps, plan, signal);
}

async function writeContract(
  deps: WorkspaceDeps,
  plan: CellPlan & { readonly isSpare: boolean },
  fresh: CellPaths,
): Promise<void> {
  const { cell, isSpare } = plan;
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
  await noteInDaemonLog(fresh.cell, {
    ...{ at, what: "cell made", branch: cell.branch, base: cell.baseCommit },
    ...(isSpare ? { from: "a tree that waited" } : {}),
  });
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
