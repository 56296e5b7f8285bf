import { execFile } from "node:child_process";

const MOST_MS = 20_000;

/** What one look at all that agents can fill in a cell tells. */
export interface DiskUse {
  /** On disk: worktree, homes, artifacts. */
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
export function diskUse(cellDir: string, signal?: AbortSignal): Promise<DiskUse | null> {
  const paths = ["worktree", "home", "artifacts"].map((name) => `${cellDir}/${name}`);
  const words = ["-s", "-x", "-B1", "-c", "--time=ctime", "--time-style=+%s.%N", "--", ...paths];
  return new Promise((resolve) => {
    const options = {
      timeout: MOST_MS,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      maxBuffer: 1024 * 1024,
      ...(signal === undefined ? {} : { signal }),
    };
    // It leaves with 1 where a file went away while it looked; what it counted counts.
    execFile("du", words, options, (_error, stdout) => {
      const total = /^(\d+)\t[^\t]*\ttotal$/m.exec(stdout)?.[1];
      const changed = /^\d+\t(\d+\.\d+)\t.*\/worktree$/m.exec(stdout)?.[1];
      if (total === undefined) return resolve(null);
      resolve({ bytes: Number(total), changedAt: changed === undefined ? null : Number(changed) * 1_000 });
    });
  });
}
