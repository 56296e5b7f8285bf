import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** The real agents that npm carries, each with the version that its preset was tried with last. */
export const PROGRAMS = {
  claude: { package: "@anthropic-ai/claude-code", version: "2.1.197" },
  codex: { package: "@openai/codex", version: "0.171.0" },
  opencode: { package: "opencode-ai", version: "1.18.33" },
  gemini: { package: "@google/gemini-cli", version: "0.61.0" },
  // Newer ones need Node 22.
  qwen: { package: "@qwen-code/qwen-code", version: "0.15.10" },
} as const;
export type ProgramName = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];

/**
 * Those that come by other ways: their command lines are checked with fakes in test/backends/agents.test.ts.
 */
export const ELSEWHERE = { hermes: "it comes by pip, not npm", aider: "it comes by pip, not npm" } as const;

/** Why an agent cannot work in a backend here; null: it can. */
export function unableIn(name: ProgramName, backend: string): string | null {
  // As root a plain process has a user of the cell's own, whom /etc/passwd does not know; a sandbox has a
  // /etc/passwd of its own.
  const isNameless = backend === "process" && process.getuid?.() === 0;
  return name === "qwen" && isNameless
    ? "it ends where its user has no name, and cells' own users have none"
    : null;
}

const run = promisify(execFile);
const INSTALL_MS = 600_000;
const VERSION_MS = 120_000;

export interface Installed {
  readonly name: ProgramName;
  readonly version: string;
}

/** Below where agents are installed: all of them, and nothing else. */
export function packagesDir(dir: string): string {
  return join(dir, "node_modules");
}

/** Where agents are installed unless told: as root where each cell's own user gets, too. */
export function cacheDir(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return "/var/cache/lazarus-agents";
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "lazarus", "agents");
}

/**
 * Installs the pinned agents, one by one, so that one that cannot be had takes none with it; answers what
 * could not be.
 */
export async function install(
  dir: string,
  names: readonly ProgramName[],
  say: (line: string) => void,
): Promise<Map<ProgramName, string>> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o755);
  await writeFile(join(dir, "package.json"), '{"name": "lazarus-agents", "private": true}\n', {
    flag: "wx",
  }).catch(() => {});
  const failed = new Map<ProgramName, string>();
  for (const name of names) {
    const { package: from, version } = PROGRAMS[name];
    if ((await versionOf(dir, name).catch(() => "")).includes(version)) continue;
    say(`installing ${from}@${version}`);
    const words = ["install", "--no-audit", "--no-fund", "--prefix", dir, `${from}@${version}`];
    try {
      await run("npm", words, { cwd: dir, timeout: INSTALL_MS });
    } catch (error) {
      failed.set(name, `npm could not install it: ${lastLine(error)}`);
    }
  }
  return failed;
}

/** What the installed program says of itself. Throws where it cannot be run. */
export async function versionOf(dir: string, name: ProgramName): Promise<string> {
  const { stdout } = await run(join(binDir(dir), name), ["--version"], {
    timeout: VERSION_MS,
    env: { PATH: process.env.PATH ?? "", HOME: "/nonexistent" },
  });
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0];
  if (version === undefined) throw new Error(`${name} does not say its version: ${stdout.slice(0, 200)}`);
  return version;
}

export function binDir(dir: string): string {
  return join(packagesDir(dir), ".bin");
}

/** The end of what a failed program said. */
export function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr || message || String(error)).trim().split("\n").at(-1)?.slice(0, 200) ?? "";
}
