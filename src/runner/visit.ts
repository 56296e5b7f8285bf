import type { Backend } from "../backends/backend.ts";
import { readLock } from "../backends/os/state-files.ts";
import type { AgentConfig } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { CellSpec } from "../protocol/shapes.ts";
import { surroundingsOf } from "./confinement.ts";
import type { Parts } from "./context.ts";
import type { CellPaths } from "./disk/directory.ts";
import { throwWhereFull } from "./disk/full-disk.ts";
import { closeWork, makePlaceForCopy, makeRoom, removeCopy, roomOf } from "./disk/guest-room.ts";

export type VisitDeps = Pick<Parts, "config" | "mirrors" | "quarantine" | "redact">;

export interface VisitPlan {
  readonly cell: CellSpec;
  readonly run: number;
  readonly agent: AgentConfig;
  readonly backend: Backend;
  readonly paths: CellPaths;
}

/** A large tree is copied from disk to disk. */
const COPY_MS = 10 * 60_000;

/**
 * Copies the tree, commits and all, into the directory that is the first argument. It runs as the agents of
 * the cell do, in the worktree: what one of them planted there gains nothing.
 */
const COPY_SCRIPT = `
set -u
umask 077
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 LC_ALL=C
git clone --quiet --local --no-hardlinks --no-checkout --template= -- . "$1" || exit 5
cd "$1" || exit 5
git -c core.hooksPath=/dev/null reset --hard --quiet || exit 5
git remote remove origin
`;

/** Where an observer finds things: a tree that it cannot write, or a copy, and artifacts of its own. */
export function seenByVisitor(
  paths: CellPaths,
  { agent, backend }: Pick<VisitPlan, "agent" | "backend">,
): CellPaths {
  const { artifacts, tree } = roomOf(paths, agent.name);
  return { ...paths, artifacts, ...(needsCopy(backend) ? { worktree: tree } : {}) };
}

/** In the others the tree is mounted so that nobody can write it. */
function needsCopy(backend: Backend): boolean {
  return backend.name === "process";
}

/**
 * Makes a cell ready for an observer. Where no backend keeps it from writing, it gets a copy of the tree, and
 * the rest is closed to it, where the cell has a user of its own. Of a run that was begun before Lazarus was
 * killed all stays as it is.
 * @throws LazarusError `git`, `directory`, `disk-full`.
 */
export async function prepareVisit(deps: VisitDeps, plan: VisitPlan): Promise<void> {
  const { cell, run, agent, backend, paths } = plan;
  if (readLock(paths.state, run) !== undefined) return;
  const host = { agent: agent.name, user: cell.user };
  await makeRoom(paths, host);
  if (!needsCopy(backend)) return;
  await makePlaceForCopy(paths, host);
  await copyTree(deps, plan);
  if (cell.user !== null) await closeWork(paths, { agent: agent.name, user: cell.user });
}

async function copyTree(deps: VisitDeps, { cell, agent, backend, paths }: VisitPlan): Promise<void> {
  const mirror = deps.mirrors.path(cell.repository);
  const scratch = `${cell.id}.guest`;
  const stdoutPath = await deps.quarantine.prepare(scratch);
  try {
    const around = { id: cell.id, paths, mirror, user: cell.user };
    const end = await backend.runToEnd({
      ...surroundingsOf(around, agent, { role: "executor", path: deps.config.childPath }),
      command: ["/bin/sh", "-c", COPY_SCRIPT, "lazarus-copy", roomOf(paths, agent.name).tree],
      stdoutPath,
      timeoutMs: COPY_MS,
      stderrBytes: 4 * 1024,
    });
    if (end.code === 0) return;
    const doing = `copying the tree for ${agent.name}`;
    const { freeBytes } = deps.config.limits;
    await throwWhereFull(end, { doing, places: [paths.cell], freeBytes }).finally(() => removeCopy(paths));
    const said = end.stderr.split("\n").find((line) => /^(fatal|error):/.test(line)) ?? "";
    const why = end.timedOut ? "it took too long" : deps.redact(said.slice(0, 200)) || "git does not say why";
    throw new LazarusError("git", `${doing}: ${why}`);
  } finally {
    await deps.quarantine.remove(scratch);
  }
}
