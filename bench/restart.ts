import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startServe } from "../scripts/serve-process.ts";
import { bootId, readStat } from "../src/backends/os/proc.ts";
import type { ForgeProcess } from "./forge.ts";
import { type Figure, median, writeBenchConfig } from "./ground.ts";
import { fillRegistry, idOf } from "./registry.ts";

const CELLS = 1_000;
const ROUNDS = 5;
const DIST = resolve(import.meta.dirname, "../dist");
const FLOOR = resolve(import.meta.dirname, "floor-restart.js");

/**
 * From the start of `serve` to its ready line with a thousand running cells, against a process that only
 * reads what must be read; in turns.
 */
export async function restart(dir: string, forge: ForgeProcess): Promise<Figure> {
  const ground = join(dir, "restart");
  const agents = Array.from({ length: CELLS }, () => spawn("sleep", ["1d"], { stdio: "ignore" }));
  try {
    await Promise.all(agents.map((agent) => once(agent, "spawn")));
    const file = writeBenchConfig(ground, forge, ["/bin/true"], { limits: { cells: CELLS } });
    fillRegistry(join(ground, "data"), CELLS, (n) => runOf(ground, n, agents[n - 1]));
    const floor: number[] = [];
    const measured: number[] = [];
    for (let round = -1; round < ROUNDS; round++) {
      const floorMs = timed(() => onlyRead(join(ground, "data", "lazarus.db")));
      const servedMs = await adopted(file, join(ground, "serve.log"));
      if (round < 0) continue;
      floor.push(floorMs);
      measured.push(servedMs);
    }
    return {
      name: `restart with ${CELLS} running cells`,
      floor: `${median(floor).toFixed(0)} ms`,
      measured: `${median(measured).toFixed(0)} ms`,
      ratio: median(measured) / median(floor),
      reach: { atMost: 3 },
    };
  } finally {
    for (const agent of agents) agent.kill("SIGKILL");
  }
}

/** A cell's directory as a run leaves it, and the handle of its process. */
function runOf(ground: string, n: number, agent: ChildProcess | undefined) {
  const id = idOf(n);
  const cell = join(ground, "missions", id);
  for (const name of ["meta", "config", "state", "logs", "artifacts", "worktree", "home"])
    mkdirSync(join(cell, name), { recursive: true, mode: 0o700 });
  const logPath = join(cell, "logs", "stamp-1.log");
  writeFileSync(logPath, "at work\n");
  const pid = agent?.pid ?? 0;
  const startTicks = readStat(pid)?.startTicks;
  if (startTicks === undefined) throw new Error(`process ${pid} is not there`);
  const stateDir = join(cell, "state");
  const handle = {
    ...{ backend: "process", cellId: id, run: 1, bootId: bootId(), pid, startTicks, stateDir },
    ...{ startedAt: Date.now(), uid: null },
  };
  return { handle, logPath };
}

function onlyRead(db: string): void {
  const { stdout, stderr, status } = spawnSync(process.execPath, [FLOOR, DIST, db], { encoding: "utf8" });
  if (status !== 0 || stdout !== `${CELLS} alive\n`) throw new Error(`the floor said ${stdout}${stderr}`);
}

function timed(act: () => void): number {
  const began = performance.now();
  act();
  return performance.now() - began;
}

/** Ms until it is ready: adopted all, and its forge has answered. */
async function adopted(file: string, log: string): Promise<number> {
  const began = performance.now();
  const serving = await startServe(file, log);
  const ms = performance.now() - began;
  await serving.end();
  if (!serving.readyLine.includes(`${CELLS} cells adopted`)) throw new Error(serving.readyLine);
  return ms;
}
