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

export interface VictimPlace {
  readonly configPath: string;
  /** Where doom.mjs finds its clock and leaves its trace. */
  readonly dir: string;
  /** Is there while the disk is to look full. */
  readonly fullPath: string;
}

/** What it says once it is there. */
const READY = { serve: "listening", runner: "lazarus runner" } as const;

/** `lazarus serve` or `runner` as people run it, started again and again on the same data, and killed. */
export class Victim {
  log = "";
  readonly #place: VictimPlace;
  readonly #what: keyof typeof READY;
  #child: ChildProcess | null = null;
  #ended: Promise<End> | null = null;
  #said = "";

  constructor(place: VictimPlace, what: keyof typeof READY = "serve") {
    this.#place = place;
    this.#what = what;
  }

  get isAlive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get listens(): boolean {
    return this.isAlive && this.#said.includes(READY[this.#what]);
  }

  /** Starts a life; the answer is its end. */
  start(doom: Doom | null): Promise<End> {
    const { configPath, dir, fullPath } = this.#place;
    rmSync(join(dir, "trace"), { force: true });
    const child = spawn(process.execPath, [BIN, "--config", configPath, this.#what], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH ?? "",
        NODE_OPTIONS: `--import=${DOOM}`,
        STORM_DIR: dir,
        STORM_FULL: fullPath,
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

  /** STOP and CONT, say. */
  signal(signal: NodeJS.Signals): void {
    if (this.isAlive) this.#child?.kill(signal);
  }

  /** Moves the wall clock that Lazarus sees; `ms` from the real one. */
  setClock(ms: number): void {
    writeFileSync(join(this.#place.dir, "clock"), String(ms));
  }

  #trace(): string[] {
    const file = join(this.#place.dir, "trace");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  }
}
