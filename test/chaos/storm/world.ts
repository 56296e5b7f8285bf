import { randomInt } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { HOOK_SECRET, Lazarus } from "../../e2e/lazarus.ts";
import type { E2eServer, E2eUser } from "../../e2e/servers.ts";
import { RedisServer } from "../../scale/redis.ts";
import { freePort } from "../gate.ts";
import { AGENT_LIMITS, agentScripts, checkScripts } from "./agents.ts";
import type { Dice } from "./dice.ts";
import { type Disk, makeDisk } from "./disk.ts";
import { Fleet } from "./fleet.ts";
import type { Host } from "./hosts.ts";
import { Postman } from "./postman.ts";
import { ForgeProxy } from "./proxy.ts";
import { Victim } from "./victim.ts";

export const REPOSITORIES = ["acme/app", "acme/web"] as const;
/** A branch that is rewritten while cells stand on it. */
export const MOVING_BASE = "moving";
const ISSUES_EACH = 4;
const USERS_EACH = 10_000;

export interface Thread {
  readonly repo: string;
  readonly number: number;
}

/**
 * Everything that a storm goes through: a forge, people, a Lazarus with a proxy before and a postman behind
 * it, on a disk of its own.
 */
export interface World {
  readonly server: E2eServer;
  readonly proxy: ForgeProxy;
  readonly postman: Postman;
  readonly lazarus: Lazarus;
  readonly victim: Victim;
  readonly disk: Disk;
  /** Of control. */
  readonly dataDir: string;
  /** Whoever may have cells on its disk; control is the first. */
  readonly hosts: readonly [Host, ...Host[]];
  /** Null where control runs all cells itself. */
  readonly fleet: Fleet | null;
  /** Writes, writes, administrates, may only read. */
  readonly people: {
    readonly dev: E2eUser;
    readonly kim: E2eUser;
    readonly lead: E2eUser;
    readonly reader: E2eUser;
  };
  readonly bot: E2eUser;
  /** By full name. */
  readonly repositoryIds: ReadonlyMap<string, number>;
  readonly threads: Thread[];
  /** Moves everybody's wall clock but the forge's; ms from the real one. */
  setClock(ms: number): void;
  remove(): Promise<void>;
}

/** Makes a world with nothing running in it yet but a Redis, where there are to be runners. */
export async function makeWorld(
  dice: Dice,
  start: () => Promise<E2eServer>,
  { runners = 0 }: { readonly runners?: number } = {},
): Promise<World> {
  const closers: (() => unknown)[] = [];
  const remove = async () => {
    for (const close of closers.reverse()) await close();
  };
  try {
    const server = patient(await start());
    closers.push(() => server.stop());
    const proxy = await ForgeProxy.open(server.url, dice.fork("proxy"));
    closers.push(() => proxy.close());
    const people = {
      dev: await server.createUser("dev"),
      kim: await server.createUser("kim"),
      lead: await server.createUser("lead"),
      reader: await server.createUser("reader"),
    };
    const bot = await server.createUser("lazarus");
    const port = await freePort();
    const postman = await Postman.open(`http://127.0.0.1:${port}/webhooks/gitea`, dice.fork("postman"));
    closers.push(() => postman.close());
    const { lazarus, disk, fleet } = await settle({
      ...{ forgeUrl: proxy.url, token: bot.token, port, runners, closers },
    });
    const repositoryIds = new Map<string, number>();
    const threads: Thread[] = [];
    for (const repo of REPOSITORIES) {
      repositoryIds.set(repo, await makeRepository({ server, people, bot, postman }, repo));
      for (let n = 1; n <= ISSUES_EACH; n++) {
        const issue = { title: `Make part ${n}`, body: "Please make it." };
        threads.push({ repo, number: await server.openIssue(people.dev, repo, issue) });
      }
    }
    const { configPath, dir } = lazarus;
    const victim = new Victim({ configPath, dir, fullPath: disk.fullPath });
    const dataDir = join(disk.dir, "data");
    const control: Host = { name: "local", dataDir, missionsDir: join(disk.dir, "missions") };
    return {
      ...{ server, proxy, postman, lazarus, disk, people, bot, repositoryIds, threads, remove },
      ...{ victim, dataDir, fleet, hosts: [control, ...(fleet?.runners ?? [])] },
      setClock(ms) {
        for (const one of [victim, ...(fleet?.runners ?? []).map((runner) => runner.victim)])
          one.setClock(ms);
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function settle(at: {
  forgeUrl: string;
  token: string;
  port: number;
  runners: number;
  closers: (() => unknown)[];
}): Promise<{ lazarus: Lazarus; disk: Disk; fleet: Fleet | null }> {
  const settings = { forgeUrl: at.forgeUrl, token: at.token, agents: {}, forge: { poll: "3s" } };
  const lazarus = await Lazarus.make(settings);
  at.closers.push(() => lazarus.remove());
  const disk = makeDisk(lazarus.dir);
  at.closers.push(() => disk.remove());
  mkdirSync(join(lazarus.dir, "out"));
  // Agents leave their traces there, as users of their own.
  chmodSync(join(lazarus.dir, "out"), 0o777);
  const agents = agentScripts(join(lazarus.dir, "out"));
  // More cells than a range of the tests has users; beyond those ranges, so that nobody else's processes are
  // taken for a cell's.
  const firstUid = 1_100_000_000 + USERS_EACH * (1 + at.runners) * randomInt(1_000);
  const usersOf = (n: number) => `${firstUid + USERS_EACH * n}-${firstUid + USERS_EACH * (n + 1) - 1}`;
  const redis = at.runners === 0 ? null : await RedisServer.start();
  if (redis !== null) at.closers.push(() => redis.remove());
  const own = { free: "1MB", grace: "1s", run: "12h" };
  const more = {
    uids: usersOf(0),
    ...(redis === null ? {} : { queue: redis.url, runner: { slots: 0 } }),
    server: { listen: `127.0.0.1:${at.port}` },
    data: join(disk.dir, "data"),
    missions: join(disk.dir, "missions"),
    pit: { scan: "1s" },
    checks: checkScripts(join(lazarus.dir, "out")),
    limits: {
      cells: 6,
      per_repository: 4,
      per_person: 5,
      ...own,
      ttl: "30d",
      revives: 1,
      review_wait: "1s",
    },
  };
  await lazarus.configure({ ...settings, agents, more });
  // Each agent's own limits go over what `configure` makes of a script.
  const listed = Object.fromEntries(
    Object.keys(agents).map((name) => [
      name,
      { command: [join(lazarus.dir, "agents", name)], backend: "process", ...AGENT_LIMITS[name] },
    ]),
  );
  // Where there are runners, control knows agents only from them.
  const agentsHere = redis === null ? listed : {};
  await lazarus.configure({ ...settings, agents, more: { ...more, agents: agentsHere } });
  if (redis === null) return { lazarus, disk, fleet: null };
  const fleet = await Fleet.make({
    ...{ count: at.runners, redis, lazarus, disk, usersOf },
    more: { agents: listed, limits: own, pit: more.pit },
  });
  at.closers.push(() => fleet.remove());
  return { lazarus, disk, fleet };
}

async function makeRepository(
  at: Pick<World, "server" | "people" | "bot" | "postman">,
  repo: string,
): Promise<number> {
  const { server, people, bot, postman } = at;
  const [owner = "", name = ""] = repo.split("/");
  await server.createRepository({ owner, name, files: { "src.txt": "one\n" } });
  await server.commitFile(server.admin, repo, { branch: MOVING_BASE, path: "moved.txt", text: "0\n" });
  for (const [user, right] of [
    [people.dev, "write"],
    [people.kim, "write"],
    [people.lead, "admin"],
    [bot, "admin"],
  ] as const)
    await server.addCollaborator(repo, user.login, right);
  await server.createHook(repo, postman.url, HOOK_SECRET);
  const shown = (await server.api(server.admin, "GET", `/repos/${repo}`)).json as { id: number };
  return shown.id;
}

const READS: readonly PropertyKey[] = ["comments", "reactions", "branch", "pullRequests"];
const TRIES = 5;

/** The same server, read again where a kept connection was cut just as it was used: machines are busy. */
function patient(server: E2eServer): E2eServer {
  const again = async <T>(read: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await read();
      } catch (error) {
        if (attempt === TRIES || !(error instanceof TypeError)) throw error;
      }
    }
  };
  return new Proxy(server, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      const call = (...args: unknown[]) => value.apply(target, args) as Promise<unknown>;
      return (...args: unknown[]) => {
        const isRead = READS.includes(key) || (key === "api" && args[1] === "GET");
        return isRead ? again(() => call(...args)) : call(...args);
      };
    },
  });
}
