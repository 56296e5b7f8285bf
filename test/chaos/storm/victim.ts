import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Doom } from "./aims.ts";

const BIN = resolve(import.meta.dirname, "../../../bin/lazarus.js");
const DOOM = pathToFileURL(join(import.meta.dirname, "doom.mjs")).href;
const LOG_KEPT = 20_000_000;

/** How one life of Lazarus ended. */
export interface End {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  /** What doom.mjs said of it. */
  readonly trace: readonly string[];
}

/** `lazarus serve` as people run it, started again and again on the same data, and killed. */
export class Victim {
  log = "";
  readonly #configPath: string;
  readonly #dir: string;
  #child: ChildProcess | null = null;
  #ended: Promise<End> | null = null;
  #said = "";

  /** `dir` is where doom.mjs finds its clock and leaves its trace. */
  constructor(configPath: string, dir: string) {
    this.#configPath = configPath;
    this.#dir = dir;
  }

  get isAlive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get listens(): boolean {
    return this.isAlive && this.#said.includes("listening");
  }

  /** Starts a life; the answer is its end. */
  start(doom: Doom | null): Promise<End> {
    rmSync(join(this.#dir, "trace"), { force: true });
    const child = spawn(process.execPath, [BIN, "--config", this.#configPath, "serve"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH ?? "",
        NODE_OPTIONS: `--import=${DOOM}`,
        STORM_DIR: this.#dir,
        STORM_DOOM: JSON.stringify(doom),
      },
    });
    this.#child = child;
    this.#said = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.log = (this.log + chunk.toString()).slice(-LOG_KEPT);
    });
    const ended = once(child, "close").then(() => ({
      signal: child.signalCode,
      code: child.exitCode,
      trace: this.#trace(),
    }));
    this.#ended = ended;
    return ended;
  }

  /** KILL, or another signal; waits for the end. */
  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<End | null> {
    if (this.isAlive) this.#child?.kill(signal);
    return this.#ended;
  }

  /** Moves the wall clock that Lazarus sees; `ms` from the real one. */
  setClock(ms: number): void {
    writeFileSync(join(this.#dir, "clock"), String(ms));
  }

  #trace(): string[] {
    const file = join(this.#dir, "trace");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }
}
