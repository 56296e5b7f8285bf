import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { tryGit } from "../../fakes/forge/git.ts";
import { isAlive, kill, livingOf } from "../living.ts";
import type { WindowName } from "./aims.ts";
import type { Dice } from "./dice.ts";
import { missionOf } from "./hosts.ts";
import { namesIn } from "./obituary.ts";
import { peek, tamper } from "./peek.ts";
import { MOVING_BASE, REPOSITORIES, type World } from "./world.ts";

interface Living {
  readonly cell: string;
  readonly runner: string;
  readonly n: number;
  readonly handle: string;
}

/** Runs that the registry takes for alive. */
function livingRuns(world: World): Living[] {
  return (
    peek(world.dataDir, (ask) =>
      ask<Living>(
        "SELECT cell, n, handle, cells.runner FROM runs JOIN cells ON cells.id = cell WHERE runs.state = 'running' AND handle IS NOT NULL",
      ),
    ) ?? []
  );
}

/** Whether a run is alive that was reported: what `also` of an aim needs. */
export function hasLivingRun(world: World, base: string | null = null): boolean {
  const bases = peek(world.dataDir, (ask) =>
    ask<{ base_name: string }>(
      "SELECT base_name FROM cells JOIN runs ON runs.cell = cells.id WHERE runs.state = 'running'",
    ),
  );
  return bases?.some((one) => base === null || one.base_name === base) === true;
}

/**
 * Kills every process of some running cell, its shim with it. True where that left a run without an exit
 * record.
 */
export async function killWithShim(world: World): Promise<boolean> {
  let isWithout = false;
  for (const { cell, n, runner } of livingRuns(world)) {
    for (const pid of livingOf(cell)) kill(pid);
    const exit = join(missionOf(world, { id: cell, runner }), "state", "exit.json");
    const record = existsSync(exit) ? (JSON.parse(readFileSync(exit, "utf8")) as { run: number }) : null;
    isWithout ||= record?.run !== n;
  }
  return isWithout;
}

/** Checks that the registry takes for alive. */
function livingChecks(world: World): Living[] {
  return (
    peek(world.dataDir, (ask) =>
      ask<Living>(
        "SELECT cell, n, handle, cells.runner FROM checks JOIN cells ON cells.id = cell WHERE checks.state = 'running' AND handle IS NOT NULL",
      ),
    ) ?? []
  );
}

/**
 * Kills the processes of some agent, or of a check, and now and then their shim too, while Lazarus looks.
 */
export function killAnAgent(world: World, dice: Dice): string | null {
  const runs = [...livingRuns(world), ...livingChecks(world)];
  if (runs.length === 0) return null;
  const { cell, handle } = dice.pick(runs);
  const shim = (JSON.parse(handle) as { pid: number }).pid;
  const withShim = dice.chance(0.5);
  for (const pid of livingOf(cell)) if (withShim || pid !== shim) kill(pid);
  return withShim ? "agent killed with its shim" : "agent killed";
}

/** Somebody who has nothing to do with Lazarus, and whose pid stands in a handle. */
export class Bystander {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = spawn("sleep", ["100000"], { stdio: "ignore" });
  }

  get pid(): number {
    return Number(this.#child.pid);
  }

  get isAlive(): boolean {
    return isAlive(this.pid);
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

/**
 * While Lazarus is down its agents die and their pid goes to somebody else. True where a handle could be
 * forged.
 */
export async function forgeHandle(world: World, bystander: Bystander): Promise<boolean> {
  const runs = livingRuns(world);
  await killWithShim(world);
  for (const { cell, n, handle } of runs) {
    const forged = JSON.stringify({ ...(JSON.parse(handle) as object), pid: bystander.pid });
    tamper(world.dataDir, "UPDATE runs SET handle = ? WHERE cell = ? AND n = ?", forged, cell, n);
  }
  return runs.length > 0;
}

/**
 * The base branch is rewritten on the forge, the mirrors hear of it and are collected, by hand, as thoroughly
 * as git can.
 */
export async function rewriteBase(world: World): Promise<boolean> {
  const { server, hosts } = world;
  for (const repo of REPOSITORIES) {
    await server.api(server.admin, "DELETE", `/repos/${repo}/branches/${MOVING_BASE}`);
    await server.commitFile(server.admin, repo, {
      branch: MOVING_BASE,
      path: "moved.txt",
      text: `${Date.now()}\n`,
    });
    const auth = Buffer.from(`${server.admin.login}:${server.admin.token}`).toString("base64");
    const fetch = ["-c", `http.extraHeader=Authorization: Basic ${auth}`, "fetch", "--quiet", "--prune"];
    for (const { dataDir } of hosts) {
      const mirror = join(dataDir, "mirrors", `${world.repositoryIds.get(repo)}.git`);
      if (!existsSync(mirror)) continue;
      await tryGit(mirror, [...fetch, `${server.url}/${repo}.git`, "+refs/heads/*:refs/heads/*"]);
      await tryGit(mirror, ["-c", "gc.pruneExpire=now", "gc", "--quiet", "--prune=now"]);
    }
  }
  return hosts.some(({ dataDir }) => namesIn(join(dataDir, "mirrors")).length > 0);
}

/** What goes with a kill, once Lazarus is dead; the window that it makes, if it does. */
export async function aggravate(
  world: World,
  also: "agents" | "forge a handle" | "rewrite the base" | undefined,
  bystander: Bystander,
): Promise<WindowName | null> {
  switch (also) {
    case undefined:
      return null;
    case "agents":
      return (await killWithShim(world)) ? "killed with its shim, no exit record" : null;
    case "forge a handle":
      return (await forgeHandle(world, bystander)) ? "pid given to somebody else" : null;
    case "rewrite the base": {
      const stood = hasLivingRun(world, MOVING_BASE);
      return (await rewriteBase(world)) && stood ? "borrowed objects gone from the forge" : null;
    }
    default:
      return also satisfies never;
  }
}
