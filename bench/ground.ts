import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join, resolve } from "node:path";
import Database from "better-sqlite3";
import { stringify } from "yaml";
import { type ServeProcess, startServe } from "../scripts/serve-process.ts";
import { until } from "../test/fakes/until.ts";
import { type ForgeProcess, REPOSITORY, SECRET } from "./forge.ts";

const ROOT = resolve(import.meta.dirname, "..");
const SETTLED_MS = 60_000;

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly floor: string;
  readonly measured: string;
  /** Measured by floor. */
  readonly ratio: number;
  readonly reach: { readonly atMost: number } | { readonly atLeast: number };
}

/**
 * A directory of the bench's own in the checkout, which is on a disk where a temporary directory may not be.
 */
export function makeGround(): { readonly dir: string; remove(): void } {
  mkdirSync(join(ROOT, ".bench"), { recursive: true });
  const dir = mkdtempSync(join(ROOT, ".bench", "run-"));
  // As root each cell has a user of its own, who must be able to pass.
  chmodSync(dir, 0o711);
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }) };
}

/** A `lazarus serve` below a directory, and where it keeps its things. */
export interface Serving extends ServeProcess {
  readonly dataDir: string;
  readonly missionsDir: string;
  /** Waits until no job and no agent waits or runs any more. */
  settled(): Promise<void>;
}

/** Writes a configuration below `dir`, and answers where; its one agent is `stamp`, which runs `command`. */
export function writeBenchConfig(
  dir: string,
  forge: Pick<ForgeProcess, "url" | "token">,
  command: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): string {
  mkdirSync(join(dir, "missions"), { recursive: true, mode: 0o711 });
  const configPath = join(dir, "lazarus.yaml");
  const config = {
    server: { listen: "127.0.0.1:0" },
    forge: { url: forge.url, token: forge.token, webhook_secret: SECRET, repositories: [REPOSITORY] },
    data: "./data",
    missions: "./missions",
    agents: { stamp: { command, backend: "process", network: "full" } },
    ...more,
  };
  writeFileSync(configPath, stringify(config), { mode: 0o600 });
  return configPath;
}

/** Starts it against the stand-in; its one agent is `stamp`, which runs `command`. */
export async function serve(
  dir: string,
  forge: ForgeProcess,
  command: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): Promise<Serving> {
  const configPath = writeBenchConfig(dir, forge, command, more);
  const process = await startServe(configPath, join(dir, "serve.log"));
  const dataDir = join(dir, "data");
  const registry = new Database(join(dataDir, "lazarus.db"), { readonly: true });
  // An agent's end is seen some time after it, and only then becomes a job.
  const open = registry
    .prepare(
      `SELECT (SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running'))
       + (SELECT count(*) FROM runs WHERE state IN ('waiting', 'admitted', 'running'))`,
    )
    .pluck();
  return {
    ...process,
    dataDir,
    missionsDir: join(dir, "missions"),
    settled: () => until("every job and every agent is done", () => open.get() === 0, SETTLED_MS),
    async end() {
      registry.close();
      await process.end();
    },
  };
}

/** The one in the middle; of an even number the mean of the two. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new Error("the median of nothing");
  return (low + high) / 2;
}

/** Writes back what earlier rounds left to the kernel, so that no round pays for another. */
export function syncDisks(): void {
  spawnSync("sync");
}

/** Cores, node, and the file system that the bench's directory lies on. */
export function machine(dir: string): string {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, at = ""]) => at !== "" && `${dir}/`.startsWith(at.endsWith("/") ? at : `${at}/`));
  const mount = mounts.sort((a, b) => (a[1] ?? "").length - (b[1] ?? "").length).at(-1);
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  return `${availableParallelism()} cores (${model}), node ${process.version}, ${mount?.[2] ?? "?"} on ${mount?.[0] ?? "?"}`;
}
