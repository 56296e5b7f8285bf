import { execFile } from "node:child_process";

const MOST_MS = 20_000;

/**
 * Bytes on disk of what agents can fill in a cell: worktree, homes, artifacts. Nothing is followed, other file systems are left out. Null where it
 * could not be measured in time: a tree may be changing under the look.
 */
export function diskUse(cellDir: string): Promise<number | null> {
  const paths = ["worktree", "home", "artifacts"].map((name) => `${cellDir}/${name}`);
  return new Promise((resolve) => {
    const options = { timeout: MOST_MS, env: { PATH: "/usr/bin:/bin", LC_ALL: "C" }, maxBuffer: 1024 * 1024 };
    // It leaves with 1 where a file went away while it looked; what it counted counts.
    execFile("du", ["-s", "-x", "-B1", "-c", "--", ...paths], options, (_error, stdout) => {
      const total = /^(\d+)\ttotal$/m.exec(stdout)?.[1];
      resolve(total === undefined ? null : Number(total));
    });
  });
}
