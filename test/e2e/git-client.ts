import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { E2eUser } from "./server.ts";

export interface GitResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs git as somebody on a machine without configuration; `as` logs in by a header that only the environment
 * holds.
 */
export function runGit(cwd: string, as: E2eUser | null, args: readonly string[]): Promise<GitResult> {
  const basic = as ? Buffer.from(`${as.login}:${as.token}`).toString("base64") : "";
  const login = { GIT_CONFIG_KEY_0: "http.extraHeader", GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}` };
  const name = as?.login ?? "nobody";
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: cwd,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: `${name}@example.org`,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: `${name}@example.org`,
    ...(as ? { GIT_CONFIG_COUNT: "1", ...login } : {}),
  };
  return new Promise((resolve, reject) => {
    execFile("git", args, { cwd, env, encoding: "utf8" }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") return reject(error);
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** A clone that lives as long as `work` runs. */
export async function withClone<T>(url: string, as: E2eUser, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "e2e-clone-"));
  try {
    const cloned = await runGit(dir, as, ["clone", "--quiet", url, "work"]);
    if (cloned.code !== 0) throw new Error(`cloning ${url}: ${cloned.stderr}`);
    return await work(join(dir, "work"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Clones, commits files on a branch (from where it is, or from the default branch) and pushes; answers the
 * push.
 */
export function pushFiles(
  url: string,
  as: E2eUser,
  commit: { branch: string; files: Readonly<Record<string, string>> },
): Promise<GitResult> {
  return withClone(url, as, async (dir) => {
    const { branch, files } = commit;
    const isThere = (await runGit(dir, null, ["rev-parse", "--verify", `origin/${branch}`])).code === 0;
    await runGit(dir, null, ["checkout", "--quiet", "-B", branch, ...(isThere ? [`origin/${branch}`] : [])]);
    for (const [path, text] of Object.entries(files)) await writeFile(join(dir, path), text);
    await runGit(dir, null, ["add", "--all"]);
    await runGit(dir, as, ["commit", "--quiet", "-m", "change by git"]);
    return runGit(dir, as, ["push", "origin", `HEAD:refs/heads/${branch}`]);
  });
}
