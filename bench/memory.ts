import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { ForgeProcess } from "./forge.ts";
import { type Figure, median, serve } from "./ground.ts";

const ROUNDS = 3;
/** Long enough for what a start leaves behind to be done. */
const SETTLING_MS = 2_000;
const ROOT = resolve(import.meta.dirname, "..");
const ONLY_EXPRESS =
  'await import("express"); setInterval(() => {}, 1_000_000); process.stdout.write("up\\n");';

/**
 * Resident memory of a server that has nothing to do, against a process that has express and nothing else.
 */
export async function idleMemory(dir: string, forge: ForgeProcess): Promise<Figure> {
  const floor: number[] = [];
  const measured: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bare = spawn(process.execPath, ["--input-type=module", "-e", ONLY_EXPRESS], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const serving = await serve(join(dir, `memory-${round}`), forge, ["/bin/true"]);
    try {
      await once(bare.stdout, "data");
      await pause(SETTLING_MS);
      floor.push(residentMb(pidOf(bare)));
      measured.push(residentMb(serving.pid));
    } finally {
      bare.kill();
      await serving.end();
    }
  }
  return {
    name: "idle server's memory",
    floor: `${median(floor).toFixed(1)} MB`,
    measured: `${median(measured).toFixed(1)} MB`,
    ratio: median(measured) / median(floor),
    reach: { atMost: 1.8 },
  };
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process did not start");
  return child.pid;
}

export function residentMb(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (found === undefined) throw new Error(`process ${pid} has no memory`);
  return (Number(found) * 1_024) / 1e6;
}
