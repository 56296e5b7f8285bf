import { dirname } from "node:path";
import type { CellUser } from "../../backends/backend.ts";
import { LazarusError } from "../../errors.ts";
import type { WorkLimits } from "../confined.ts";
import { fullDisk, isFull, mayBeFull } from "../disk/full-disk.ts";
import { giveAway } from "../disk/owner.ts";
import { mustFit } from "./count-tree.ts";
import type { Git } from "./git.ts";

export interface CloneDeps {
  readonly git: Git;
  readonly childPath: string;
  /** What the files of a clone may take at its start. */
  readonly diskBytes: number;
  readonly limits: WorkLimits;
}

/** The files of one commit, checked out as one user, and where nobody but us has been since. */
export interface SpareTree {
  readonly commit: string;
  /** Their own repository is as a clone that is made now would be. */
  readonly isWhole: boolean;
  /**
   * Makes them the files of the fresh clone at `dir`, which has none yet, with the index that knows them; or,
   * where they are whole, of the empty directory there. Throws the system's error; what is at `dir` is of no
   * use then.
   */
  moveTo(dir: string): Promise<void>;
}

export interface ClonePlan {
  readonly mirror: string;
  /** An empty directory, or none; its parent exists. */
  readonly dir: string;
  /** What `origin` is called there. */
  readonly url: string;
  readonly commit: string;
  /** To begin from: only what differs is written; null: from nothing. */
  readonly spare: SpareTree | null;
  /** Which branch begins there, whatever the clone has under its name; null: none. */
  readonly branch: string | null;
  readonly user: CellUser | null;
  readonly doing: string;
  /** Called once the user has the clone, and before anything is done with its rights. */
  given(): Promise<void>;
}

/** No repository that people work in has more. */
const MOST_FILES = 1_000_000;
/** Files that fit may have to be written to a slow disk. */
const CHECKOUT_MS = 60 * 60_000;

/**
 * A clone that borrows the mirror's objects. Its files are written with the rights of the cell's user, where
 * it has one.
 * @throws LazarusError `git`, `directory`, `disk-full`, `over-limit`.
 */
export async function cloneTree(deps: CloneDeps, plan: ClonePlan, signal: AbortSignal): Promise<void> {
  const { mirror, dir, user, doing, commit, spare } = plan;
  const { diskBytes: mostBytes, limits } = deps;
  const tree = { repository: mirror, commit, mostFiles: MOST_FILES, mostBytes };
  // What waits has been counted.
  if (spare?.commit !== commit) await mustFit(deps.git, { ...tree, doing, limits });
  if (spare?.isWhole !== true) {
    const cloning = ["clone", "--quiet", "--shared", "--no-checkout", "--template=", mirror, dir];
    await deps.git({ dir: dirname(dir), args: cloning, doing, signal, files: true });
    await deps.git({ dir, args: ["remote", "set-url", "origin", plan.url], doing, signal });
    if (user !== null) await giveAway([dir], { user, path: deps.childPath });
  }
  // The last that we do in there.
  await spare?.moveTo(dir);
  if (user !== null) await plan.given();
  if (spare?.isWhole === true && spare.commit === commit && plan.branch !== null) {
    // The files are those of this very commit: git need not look at each.
    for (const args of [
      ["symbolic-ref", "HEAD", `refs/heads/${plan.branch}`],
      ["update-ref", "HEAD", commit],
    ])
      await deps.git({ dir, args, doing, signal, user });
  } else await checkOut(deps, plan, signal);
}

async function checkOut(
  { git }: CloneDeps,
  { dir, user, doing, commit, spare, branch }: ClonePlan,
  signal: AbortSignal,
): Promise<void> {
  // The clone has made the mirror's own HEAD a branch already, which may be this very one.
  const at = branch === null ? ["--detach", commit] : ["--no-track", "-B", branch, commit];
  const args = ["checkout", "--quiet", ...(spare === null ? [] : ["--force"]), ...at];
  // Writing files waits more than it computes: more hands than cores make a large tree twice as fast. Small
  // ones stay with one.
  const config = { "checkout.workers": "4" };
  await git({ dir, args, doing, signal, config, user, mostMs: CHECKOUT_MS }).catch(async (error: unknown) => {
    if (!(error instanceof LazarusError)) throw error;
    if (error.code !== "git" && error.code !== "disk-full") throw error;
    // The name of a file can say so as well.
    if (error.code === "disk-full" && (await mayBeFull([dir], 0))) throw error;
    if (await isFull(dir)) throw fullDisk(doing, error);
    // The same files in the same place fail again, however often it is tried.
    throw new LazarusError("git", error.message, { cause: error });
  });
}
