import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseDuration } from "../../src/units.ts";
import { kill } from "../chaos/living.ts";
import { listenForWords, type Words } from "./service-manager.ts";
import { until } from "./until.ts";

export interface UnitOptions {
  readonly unitPath: string;
  /** For the socket. */
  readonly dir: string;
  /** Keys of the unit that are other here, as a drop-in would have them. */
  readonly dropIn?: Readonly<Record<string, string>>;
  /** What stands in ExecStart -> what stands there on this machine. */
  readonly paths: Readonly<Record<string, string>>;
  /** Everything in the unit's control group besides the main process. */
  others(): readonly number[];
}

/**
 * What systemd does to one service, by the unit's own words: waits for READY=1 of the main process, ends the
 * control group or, with KillMode=process, the main process alone, first with TERM and after TimeoutStopSec
 * with KILL, and does the same where the watchdog hears nothing.
 * @see systemd.service(5), systemd.kill(5)
 */
export class Systemd {
  readonly #options: UnitOptions;
  readonly #keys: ReadonlyMap<string, string>;
  readonly #words: Words;
  #main: ChildProcess | null = null;
  log = "";

  private constructor(options: UnitOptions, keys: ReadonlyMap<string, string>, words: Words) {
    this.#options = options;
    this.#keys = keys;
    this.#words = words;
  }

  static async load(options: UnitOptions): Promise<Systemd> {
    const keys = new Map<string, string>();
    for (const line of readFileSync(options.unitPath, "utf8").split("\n")) {
      const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      if (key !== undefined && value !== undefined) keys.set(key, value);
    }
    for (const [key, value] of Object.entries(options.dropIn ?? {})) keys.set(key, value);
    return new Systemd(options, keys, await listenForWords(join(options.dir, "notify")));
  }

  get pid(): number {
    const pid = this.#main?.pid;
    if (pid === undefined) throw new Error("the service does not run");
    return pid;
  }

  /** What the unit lets speak since the service was started. */
  get heard(): readonly string[] {
    if (this.#key("NotifyAccess", "main") !== "main") throw new Error("only NotifyAccess=main is played");
    return this.#words.all.filter((word) => word.pid === this.pid).map((word) => word.text);
  }

  async start(): Promise<void> {
    if (this.#key("Type", "simple") !== "notify") throw new Error("only Type=notify is played");
    let command = this.#key("ExecStart", "");
    for (const [from, to] of Object.entries(this.#options.paths)) command = command.replace(from, `'${to}'`);
    const [, name = "", value = ""] = /^(\w+)=(.*)$/.exec(this.#key("Environment", "")) ?? [];
    // The shell becomes the service: its pid is the one that WATCHDOG_PID names.
    const main = spawn("sh", ["-c", `umask ${this.#key("UMask", "0022")}; WATCHDOG_PID=$$ exec ${command}`], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        [name]: value,
        // The test's node may lie elsewhere.
        ...(name === "PATH" ? { PATH: `${process.env.PATH}:${value}` } : { PATH: process.env.PATH ?? "" }),
        NOTIFY_SOCKET: this.#words.socket,
        WATCHDOG_USEC: String(this.#ms("WatchdogSec") * 1000),
      },
    });
    this.#main = main;
    main.stderr?.on("data", (chunk: Buffer) => {
      this.log += chunk.toString();
    });
    const isReady = () => this.heard.some((word) => word.startsWith("READY=1"));
    await until(
      "the service is ready or gone",
      () => isReady() || this.#isGone(),
      this.#ms("TimeoutStartSec"),
    );
    if (!isReady()) throw new Error(`the service ended before it was ready: ${this.log}`);
  }

  /** `systemctl stop`; answers how the main process ended. */
  async stop(): Promise<number | NodeJS.Signals | null> {
    return this.#end("SIGTERM");
  }

  /** Waits until the watchdog has heard nothing for its time, and ends the service for it. */
  async bark(): Promise<number | NodeJS.Signals | null> {
    const fed = () => this.heard.filter((word) => word === "WATCHDOG=1").length;
    for (;;) {
      const before = fed();
      await pause(this.#ms("WatchdogSec"));
      if (fed() === before) return this.#end("SIGABRT");
    }
  }

  async #end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    const main = this.#main;
    if (main === null) return null;
    const isGroup = this.#key("KillMode", "control-group") !== "process";
    const gone = this.#isGone() ? Promise.resolve() : once(main, "exit");
    main.kill(signal);
    // What is started meanwhile belongs to the group as well: it is empty when nobody is left in it.
    const killOthers = () => {
      const others = isGroup ? this.#options.others() : [];
      for (const pid of others) kill(pid);
      return others.length;
    };
    killOthers();
    const hard = setTimeout(() => main.kill("SIGKILL"), this.#ms("TimeoutStopSec"));
    await gone;
    clearTimeout(hard);
    await until("the control group is empty", () => killOthers() === 0);
    return main.exitCode ?? main.signalCode;
  }

  async close(): Promise<void> {
    if (this.#main !== null && !this.#isGone()) {
      const gone = once(this.#main, "exit");
      this.#main.kill("SIGKILL");
      await gone;
    }
    await this.#words.close();
  }

  #isGone(): boolean {
    return this.#main === null || this.#main.exitCode !== null || this.#main.signalCode !== null;
  }

  #key(name: string, fallback: string): string {
    return this.#keys.get(name) ?? fallback;
  }

  /** A bare number is seconds. */
  #ms(key: string): number {
    const text = this.#key(key, "90");
    const ms = /^\d+$/.test(text) ? Number(text) * 1000 : parseDuration(text);
    if (ms === null) throw new Error(`${key}=${text} is no time that is played here`);
    return ms;
  }
}
