import { emitPush, emitThread } from "./events.ts";
import { branches, commitTo, git, tryGit, ZERO } from "./git.ts";
import { isPull } from "./pull-payloads.ts";
import type { Repository, User, World } from "./state.ts";

export interface BranchMove {
  readonly branch: string;
  readonly before: string;
  readonly after: string;
}

/** What changed between two looks at a repository's branches. */
export function branchMoves(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): BranchMove[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names]
    .map((branch) => ({ branch, before: before.get(branch) ?? ZERO, after: after.get(branch) ?? ZERO }))
    .filter((move) => move.before !== move.after);
}

/** Everything the server does after branches moved: events, and the pull requests that follow their heads. */
export async function afterPush(
  world: World,
  repo: Repository,
  push: { by: User; moves: readonly BranchMove[] },
): Promise<void> {
  for (const move of push.moves) {
    if (move.after !== ZERO) repo.isEmpty = false;
    repo.updatedAt = world.now();
    await emitPush(world, repo, { by: push.by, ...move });
    for (const thread of repo.threads.values()) {
      if (!isPull(thread) || !thread.isOpen || thread.pull.headRepositoryId !== repo.id) continue;
      if (thread.pull.headBranch !== move.branch) continue;
      thread.updatedAt = world.now();
      if (move.after === ZERO) {
        thread.pull.hasHeadBranch = false;
        world.addAct({ repo, thread }, { by: push.by, type: "close" });
        await emitThread(world, { repo, thread }, { by: push.by, action: "closed" });
      } else {
        await git(repo.dir, ["update-ref", `refs/pull/${thread.number}/head`, move.after]);
        for (const review of thread.pull.reviews) review.isStale = true;
        await emitThread(
          world,
          { repo, thread },
          { by: push.by, action: "synchronized", type: "pull_request_sync" },
        );
      }
    }
  }
}

export interface FilesCommit {
  readonly by: User;
  readonly branch: string;
  /** Where the commit goes when it is not `branch` itself. */
  readonly newBranch?: string;
  readonly files: Readonly<Record<string, string | Buffer | null>>;
  readonly message: string;
}

/** One commit on a branch, as the web editor or the contents API makes it; answers its id. */
export function commitFiles(world: World, repo: Repository, commit: FilesCommit): Promise<string> {
  return world.exclusive(repo, async () => {
    const before = await branches(repo.dir);
    const parent = before.get(commit.branch) ?? null;
    const author = { name: commit.by.login, email: commit.by.email };
    const branch = commit.newBranch ?? commit.branch;
    const made = { parent, files: commit.files, message: `${commit.message}\n`, author };
    const id = await commitTo(repo.dir, branch, made);
    await afterPush(world, repo, {
      by: commit.by,
      moves: branchMoves(before, new Map([...before, [branch, id]])),
    });
    return id;
  });
}

/** Points a branch at a commit, makes it, or (with null) deletes it; fires what a push would. */
export function moveBranch(
  world: World,
  repo: Repository,
  change: { by: User; branch: string; to: string | null },
): Promise<void> {
  return world.exclusive(repo, async () => {
    const before = await branches(repo.dir);
    const ref = `refs/heads/${change.branch}`;
    if (change.to === null) await tryGit(repo.dir, ["update-ref", "-d", ref]);
    else await git(repo.dir, ["update-ref", ref, change.to]);
    await afterPush(world, repo, { by: change.by, moves: branchMoves(before, await branches(repo.dir)) });
  });
}

/** Whether nobody may push to the branch: an exact name or a glob in which `*` stops at nothing. */
export function isProtected(repo: Repository, branch: string): boolean {
  return repo.protectedBranches.some((pattern) => {
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(branch);
  });
}
