import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";

/**
 * One program does what its name says. Debian's `redis-tools` brings it under this name, and starts no service as
 * the package `redis-server` would.
 */
const REDIS = "redis-check-rdb";

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
