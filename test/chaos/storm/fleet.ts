import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { findGroups } from "../../../src/backends/os/groups/find-groups.ts";
import type { Lazarus } from "../../e2e/lazarus.ts";
import type { RedisServer } from "../../scale/redis.ts";
import { Gate } from "../gate.ts";
import type { Disk } from "./disk.ts";
import type { Host } from "./hosts.ts";
import { Victim } from "./victim.ts";

const SLOTS_EACH = 3;
/** Short, so that what was lost is said again while a storm lasts. */
const BEAT = "1s";

interface FleetRunner extends Host {
  readonly victim: Victim;
  /** Its ways to Redis, and to the git gate of control. */
  readonly ways: { readonly redis: Gate; readonly git: Gate };
}

interface FleetOptions {
  readonly count: number;
  readonly redis: RedisServer;
  /** Where the runners are added. */
  readonly lazarus: Lazarus;
  readonly disk: Disk;
  /** A range of users for each. */
  readonly usersOf: (n: number) => string;
  /** Merged over each one's file. */
  readonly more: Readonly<Record<string, unknown>>;
}

/** The runners of a storm, each as on a host of its own, and the Redis between them and control. */
export class Fleet {
  readonly runners: readonly FleetRunner[];
  readonly redis: RedisServer;

  private constructor(runners: readonly FleetRunner[], redis: RedisServer) {
    this.runners = runners;
    this.redis = redis;
  }

  static async make(options: FleetOptions): Promise<Fleet> {
    const made: FleetRunner[] = [];
    for (let n = 1; n <= options.count; n++) made.push(await makeRunner(options, n));
    return new Fleet(made, options.redis);
  }

  /** As where the power goes. Whoever looks after each of them starts it again. */
  async killAll(): Promise<void> {
    await Promise.all(this.runners.map(({ victim }) => victim.end()));
  }

  async remove(): Promise<void> {
    await this.killAll();
    for (const { ways } of this.runners) await Promise.all([ways.redis.shut(), ways.git.shut()]);
    for (const { dataDir } of this.runners) await (await findGroups(dataDir)).sweep(new Set());
  }
}

async function makeRunner(options: FleetOptions, n: number): Promise<FleetRunner> {
  const { redis, lazarus, disk } = options;
  const name = `r${n}`;
  const { stdout, stderr } = await lazarus.cli("runner", "add", name, "--json");
  if (stdout === "") throw new Error(`the runner ${name} was not added: ${stderr}`);
  const dir = join(lazarus.dir, name);
  const root = join(disk.dir, name);
  for (const made of [dir, root]) {
    mkdirSync(made);
    // Cells' own users pass through.
    chmodSync(made, 0o711);
  }
  writeFileSync(join(dir, "join"), (JSON.parse(stdout) as { join: string }).join, { mode: 0o600 });
  const host: Host = { name, dataDir: join(root, "data"), missionsDir: join(root, "missions") };
  const ways = {
    redis: await Gate.open(redis.port),
    git: await Gate.open(Number(lazarus.listen.split(":").at(-1))),
  };
  const configPath = join(dir, "runner.yaml");
  const config = {
    server: { listen: "127.0.0.1:0" },
    queue: `redis://127.0.0.1:${ways.redis.port}/0`,
    runner: { join_file: "./join", slots: SLOTS_EACH, beat: BEAT, gate: ways.git.url },
    ...{ data: host.dataDir, missions: host.missionsDir, uids: options.usersOf(n) },
    ...options.more,
  };
  writeFileSync(configPath, stringify(config), { mode: 0o600 });
  return { ...host, ways, victim: new Victim({ configPath, dir, fullPath: disk.fullPath }, "runner") };
}
