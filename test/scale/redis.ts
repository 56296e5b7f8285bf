import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../chaos/gate.ts";
import { until } from "../fakes/until.ts";

/**
 * One program does what its name says. Debian's `redis-tools` brings it under this name, and starts no service as
 * the package `redis-server` would.
 */
const REDIS = "redis-check-rdb";

const DUMP = "dump.rdb";
const OLD_DUMP = "old.rdb";

/** A redis-server of a test's own. It keeps nothing: a restart is an empty one. */
export class RedisServer {
  readonly port: number;
  readonly #dir: string;
  readonly #settings: readonly string[];
  #child: ChildProcess | null = null;

  private constructor(port: number, dir: string, settings: readonly string[]) {
    this.port = port;
    this.#dir = dir;
    this.#settings = settings;
  }

  static async start(settings: readonly string[] = []): Promise<RedisServer> {
    const redis = new RedisServer(
      await freePort(),
      await mkdtemp(join(tmpdir(), "lazarus-redis-")),
      settings,
    );
    await redis.begin();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Of the process that runs now; 0: none does. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async begin(): Promise<void> {
    const words = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--dir", this.#dir];
    this.#child = spawn(REDIS, [...words, ...this.#settings], { argv0: "redis-server", stdio: "ignore" });
    await until("redis answers", async () => {
      try {
        return /PONG|NOAUTH/.test(await this.ask("PING"));
      } catch {
        return false;
      }
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Copies what it holds aside, for {@link restore}. */
  async dump(): Promise<void> {
    await this.ask("SAVE");
    await copyFile(join(this.#dir, DUMP), join(this.#dir, OLD_DUMP));
    await rm(join(this.#dir, DUMP));
  }

  /** Killed, and begun again with what it held at the last {@link dump}. */
  async restore(): Promise<void> {
    await this.kill();
    await copyFile(join(this.#dir, OLD_DUMP), join(this.#dir, DUMP));
    await this.begin();
    await rm(join(this.#dir, DUMP));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Sends one inline command and answers what comes first. */
  ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1", () => socket.write(`${command}\r\n`));
      socket.once("data", (bytes) => {
        resolve(bytes.toString());
        socket.destroy();
      });
      socket.once("error", reject);
    });
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }
}
