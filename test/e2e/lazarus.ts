import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { findGroups } from "../../src/backends/os/groups/find-groups.ts";
import { freeUids } from "../fakes/uids.ts";
import { until } from "../fakes/until.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");
export const HOOK_SECRET = "a-secret-of-the-test";

export interface LazarusOptions {
  readonly forgeUrl: string;
  readonly token: string;
  readonly repositories?: readonly string[];
  readonly directors?: readonly string[];
  /** Name -> shell script; each becomes an agent whose command is that script. */
  readonly agents: Readonly<Record<string, string>>;
  /** Merged over the file's `forge`. */
  readonly forge?: Readonly<Record<string, unknown>>;
  /** Merged over the file's top level. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** The program; that of this checkout where untold. */
  readonly bin?: string;
  /** Merged over each agent. */
  readonly agentMore?: Readonly<Record<string, unknown>>;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A Lazarus of its own: data, missions and configuration in a temporary directory, run as a person runs it.
 */
export class Lazarus {
  readonly dir: string;
  readonly configPath: string;
  url = "";
  /** `server.listen` of its configuration. */
  listen = "127.0.0.1:0";
  readonly #bin: string;
  readonly #uids = freeUids();
  #server: ChildProcess | null = null;
  #log = "";
  #ready = "";

  private constructor(dir: string, bin: string) {
    this.dir = dir;
    this.#bin = bin;
    this.configPath = join(dir, "lazarus.yaml");
  }

  static async make(options: LazarusOptions): Promise<Lazarus> {
    const lazarus = new Lazarus(await mkdtemp(join(tmpdir(), "lazarus e2e-")), options.bin ?? BIN);
    // Cells' own users pass through.
    await chmod(lazarus.dir, 0o711);
    await lazarus.configure(options);
    return lazarus;
  }

  get dataDir(): string {
    return join(this.dir, "data");
  }

  get missionsDir(): string {
    return join(this.dir, "missions");
  }

  /** What serve has logged so far. */
  get log(): string {
    return this.#log;
  }

  /** The line that serve printed when it was ready. */
  get readyLine(): string {
    return this.#ready;
  }

  get pid(): number | undefined {
    return this.#server?.pid;
  }

  async configure(options: LazarusOptions): Promise<void> {
    await mkdir(join(this.dir, "agents"), { recursive: true });
    const agents: Record<string, unknown> = {};
    for (const [name, script] of Object.entries(options.agents)) {
      const path = join(this.dir, "agents", name);
      await writeFile(path, script.startsWith("#!") ? script : `#!/bin/sh\n${script}\n`);
      await chmod(path, 0o755);
      agents[name] = { command: [path], backend: "process", ...options.agentMore };
    }
    const config: Record<string, unknown> = {
      server: { listen: this.listen },
      forge: {
        url: options.forgeUrl,
        token: options.token,
        webhook_secret: HOOK_SECRET,
        repositories: options.repositories ?? ["acme/*"],
        ...options.forge,
      },
      data: "./data",
      missions: "./missions",
      uids: `${this.#uids.first}-${this.#uids.last}`,
      directors: options.directors ?? [],
      agents,
      ...options.more,
    };
    this.listen = String((config.server as { listen: unknown }).listen);
    await writeFile(this.configPath, stringify(config));
    await chmod(this.configPath, 0o600);
  }

  /** Starts `lazarus serve` and waits until it is ready (`/readyz`, unless the forge is down). */
  async serve(options: { ready?: boolean; env?: Record<string, string> } = {}): Promise<void> {
    const child = spawn(process.execPath, [this.#bin, "--config", this.configPath, "serve"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH ?? "", ...options.env },
    });
    this.#server = child;
    this.#ready = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#ready += chunk.toString();
    });
    await until("serve says that it listens", () => this.#ready.includes("\n") || child.exitCode !== null);
    const url = /http:\/\/\S+?(?=,)/.exec(this.#ready)?.[0];
    if (url === undefined) throw new Error(`serve did not start: ${this.#log}`);
    this.url = url;
    if (options.ready === false) return;
    await until("readyz", async () => (await fetch(`${url}/readyz`)).status === 200);
  }

  /** Ends serve with a signal and answers its exit code. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#server;
    this.#server = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  }

  async cli(...args: string[]): Promise<CliResult> {
    const child = spawn(process.execPath, [this.#bin, "--config", this.configPath, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH ?? "" },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout, stderr };
  }

  /** What `status --json` says of all cells. */
  async cells(): Promise<Record<string, unknown>[]> {
    const { stdout, stderr } = await this.cli("status", "--all", "--json");
    if (stdout === "") throw new Error(stderr);
    return (JSON.parse(stdout) as { cells: Record<string, unknown>[] }).cells;
  }

  async readCell(id: string, path: string): Promise<string> {
    return readFile(join(this.missionsDir, id, path), "utf8");
  }

  /** SHA-256 of each file below a directory of a cell, by its path there. */
  async hashesIn(id: string, below: string): Promise<Record<string, string>> {
    const root = join(this.missionsDir, id, below);
    const all = await readdir(root, { recursive: true, withFileTypes: true });
    const files = all.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const hashed = files.sort().map(async (file) => {
      const hash = createHash("sha256").update(await readFile(file));
      return [file.slice(root.length + 1), hash.digest("hex")] as const;
    });
    return Object.fromEntries(await Promise.all(hashed));
  }

  /** Agents outlive their server on purpose: ends those that are still at work here. */
  async killRuns(): Promise<void> {
    for (const cell of await readdir(this.missionsDir).catch(() => [])) {
      const file = (name: string) =>
        this.readCell(cell, `state/${name}`).then(
          (text) => JSON.parse(text) as { pid: number; run: number },
          () => null,
        );
      for (const at of ["", "setup/", "checks/"]) {
        const [run, exit] = [await file(`${at}run.json`), await file(`${at}exit.json`)];
        if (run === null || exit?.run === run.run) continue;
        try {
          process.kill(-run.pid, "SIGKILL");
        } catch {
          // It is gone already.
        }
      }
    }
  }

  async remove(): Promise<void> {
    await this.end("SIGKILL");
    // As the next start would.
    await (await findGroups(this.dataDir)).sweep(new Set());
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
