import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { findGroups } from "../../src/backends/os/groups/find-groups.ts";
import { freeUids } from "../fakes/uids.ts";
import { until } from "../fakes/until.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");

export interface RunnerProcessOptions {
  readonly redisUrl: string;
  readonly join: string;
  readonly agents: Readonly<Record<string, string>>;
  /** Merged over the file's top level. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Merged over `runner`. */
  readonly runner?: Readonly<Record<string, unknown>>;
}

/** `lazarus runner` with data, missions and a file of its own, as on another host. */
export class RunnerProcess {
  readonly dir: string;
  readonly configPath: string;
  readonly #uids = freeUids();
  #child: ChildProcess | null = null;
  log = "";
  out = "";

  private constructor(dir: string) {
    this.dir = dir;
    this.configPath = join(dir, "runner.yaml");
  }

  static async make(options: RunnerProcessOptions): Promise<RunnerProcess> {
    const runner = new RunnerProcess(await mkdtemp(join(tmpdir(), "lazarus-runner-host-")));
    await chmod(runner.dir, 0o711);
    await runner.configure(options);
    return runner;
  }

  get missionsDir(): string {
    return join(this.dir, "missions");
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async configure({ redisUrl, join: line, agents, more, runner }: RunnerProcessOptions): Promise<void> {
    await mkdir(join(this.dir, "agents"), { recursive: true });
    const named: Record<string, unknown> = {};
    for (const [name, script] of Object.entries(agents)) {
      const path = join(this.dir, "agents", name);
      await writeFile(path, script.startsWith("#!") ? script : `#!/bin/sh\n${script}\n`);
      await chmod(path, 0o755);
      named[name] = { command: [path], backend: "process" };
    }
    await writeFile(join(this.dir, "join"), line, { mode: 0o600 });
    const config = {
      server: { listen: "127.0.0.1:0" },
      queue: redisUrl,
      runner: { join_file: "./join", slots: 4, beat: "1s", ...runner },
      ...{ data: "./data", missions: "./missions", uids: `${this.#uids.first}-${this.#uids.last}` },
      limits: { grace: "2s" },
      agents: named,
      ...more,
    };
    await writeFile(this.configPath, stringify(config), { mode: 0o600 });
  }

  /** Starts it, and waits until it says so; whether it has joined is for control to say. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const words = [BIN, "--config", this.configPath, "runner"];
    const child = spawn(process.execPath, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH ?? "", ...env },
    });
    this.#child = child;
    this.out = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.log += chunk.toString();
    });
    await until("the runner says that it is there", () => this.out.includes("\n") || child.exitCode !== null);
  }

  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  /** Of what it runs as agents: they outlive it on purpose. */
  async killRuns(): Promise<void> {
    for (const cell of await readdir(this.missionsDir).catch(() => [])) {
      const text = await readFile(join(this.missionsDir, cell, "state", "run.json"), "utf8").catch(
        () => null,
      );
      if (text === null) continue;
      try {
        process.kill(-(JSON.parse(text) as { pid: number }).pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    }
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    child.kill(signal);
    await once(child, "exit");
    return child.exitCode;
  }

  async remove(): Promise<void> {
    await this.end("SIGKILL");
    await this.killRuns();
    await (await findGroups(join(this.dir, "data"))).sweep(new Set());
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
