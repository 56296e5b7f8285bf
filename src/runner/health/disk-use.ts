import { execFile } from "node:child_process";
import { underLimits } from "../confined.ts";

const MOST_MS = 20_000;
/** It remembers each file that has several names. */
const LIMITS = { memoryBytes: 1024 ** 3, fileBytes: 0 };
const SMALLEST_FILE = 4_096;

/** What one look at all that agents can fill in a cell tells. */
export interface DiskUse {
  /**
   * On disk: worktree, homes, artifacts, clones for checks, copies of guests. A file counts as 4 KB at least:
   * disks run out of files, too.
   */
  readonly bytes: number;
  /**
   * When something in the worktree last changed, by the kernel's own time of change, which nobody can set;
   * epoch ms. Null: it is not there.
   */
  readonly changedAt: number | null;
}

/**
 * Looks at the trees of a cell once, by a child that follows nothing, leaves other file systems out and is
 * ended after 20 s: nothing in the trees is opened, and no git runs there. Null where it did not come to an
 * end: a tree may be changing under the look.
 */
export async function diskUse(cellDir: string, signal?: AbortSignal): Promise<DiskUse | null> {
  const [space, files] = await Promise.all([
    du(cellDir, ["-B1", "--time=ctime", "--time-style=+%s.%N"], signal),
    du(cellDir, ["--inodes"], signal),
  ]);
  const total = /^(\d+)\t[^\t]*\ttotal$/m.exec(space)?.[1];
  const count = /^(\d+)\ttotal$/m.exec(files)?.[1];
  const changed = /^\d+\t(\d+\.\d+)\t.*\/worktree$/m.exec(space)?.[1];
  if (total === undefined) return null;
  const bytes = Math.max(Number(total), Number(count ?? 0) * SMALLEST_FILE);
  return { bytes, changedAt: changed === undefined ? null : Number(changed) * 1_000 };
}

/** What `du` prints of the trees of a cell, all together in its last line. */
function du(cellDir: string, what: readonly string[], signal?: AbortSignal): Promise<string> {
  const paths = ["worktree", "home", "artifacts", "checks", "guests"].map((name) => `${cellDir}/${name}`);
  const words = ["-s", "-x", "-c", ...what, "--", ...paths];
  return new Promise((resolve) => {
    const options = {
      timeout: MOST_MS,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      maxBuffer: 1024 * 1024,
      ...(signal === undefined ? {} : { signal }),
    };
    // It leaves with 1 where one of these is not there, or a file went away while it looked; what it counted
    // counts.
    const [command, ...args] = underLimits(LIMITS, ["du", ...words]);
    execFile(command, args, options, (_error, stdout) => resolve(stdout));
  });
}
