import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request as ask, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { startServe } from "../scripts/serve-process.ts";
import { NOTHING_TO_SAY } from "../src/protocol/runner-port.ts";
import { until } from "../test/fakes/until.ts";
import { RedisServer } from "../test/scale/redis.ts";
import type { ForgeProcess } from "./forge.ts";
import { type Figure, writeBenchConfig } from "./ground.ts";
import { addRunners, pretendRunners } from "./pretended-runners.ts";
import { fillRegistry, idOf } from "./registry.ts";

const FEW = 100;
const MANY = 10_000;
const RUNNERS = 10;
const BEAT_MS = 10_000;
const MINUTE_MS = 60_000;
/** Until all that a start brings about is done. */
const SETTLING_MS = 30_000;
/** As Linux counts a process's time. */
const TICKS_A_SECOND = 100;

interface Minute {
  readonly cpuMs: number;
  readonly writes: number;
}

/**
 * CPU of control in one minute in which nothing happens, with many cells that run on runners elsewhere
 * against few, and what it writes to the forge.
 */
export async function atRest(dir: string, forge: ForgeProcess): Promise<Figure> {
  const few = await minuteOf(join(dir, "rest-few"), { forge, cells: FEW });
  const many = await minuteOf(join(dir, "rest-many"), { forge, cells: MANY });
  const say = ({ cpuMs, writes }: Minute) => `${cpuMs.toFixed(0)} ms of CPU, ${writes} writes to the forge`;
  return {
    name: `a minute of control with ${MANY} cells that run at rest, against ${FEW}`,
    floor: say(few),
    measured: say(many),
    ratio: many.cpuMs / few.cpuMs,
    reach: { atMost: 3 },
  };
}

async function minuteOf(
  ground: string,
  { forge, cells }: { readonly forge: ForgeProcess; readonly cells: number },
): Promise<Minute> {
  const redis = await RedisServer.start();
  const counted = await countWrites(forge.url);
  const config = writeBenchConfig(ground, { ...forge, url: counted.url }, ["/bin/true"], {
    queue: redis.url,
    runner: { slots: 0 },
    limits: { cells: 2 * MANY, per_repository: 2 * MANY, per_person: 2 * MANY },
  });
  fillRegistry(join(ground, "data"), cells, (n) => ({
    handle: { backend: "process", cellId: idOf(n), run: 1, pid: 1 },
    logPath: `/pretended/${idOf(n)}/logs/stamp-1.log`,
  }));
  const names = Array.from({ length: RUNNERS }, (_, n) => `r${n + 1}`);
  const added = addRunners(config, names);
  giveOut(join(ground, "data", "lazarus.db"), forge.repositoryId);
  const runners = await pretendRunners(added, {
    ...{ port: redis.port, beatMs: BEAT_MS, slots: MANY },
    perform: async () => NOTHING_TO_SAY,
  });
  const serving = await startServe(config, join(ground, "serve.log"));
  try {
    await until("all is watched", () => runners.watched() === cells);
    await pause(SETTLING_MS);
    const before = { cpuMs: cpuMsOf(serving.pid), writes: counted.writes() };
    await pause(MINUTE_MS);
    return {
      cpuMs: cpuMsOf(serving.pid) - before.cpuMs,
      writes: counted.writes() - before.writes,
    };
  } finally {
    await serving.end();
    await runners.close();
    counted.close();
    await redis.remove();
  }
}

/** Each runner has as many of the cells, which have run for a while. */
function giveOut(file: string, repositoryId: number): void {
  const db = new Database(file);
  db.prepare(
    `UPDATE cells SET runner = 'r' || (1 + seq % ${RUNNERS}), health = 'healthy', health_reason = 'output',
     health_since = created_at, seen_at = created_at, repository = ?`,
  ).run(repositoryId);
  db.close();
}

export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_A_SECOND;
}

/** Stands before the forge, and counts what is no question. */
async function countWrites(target: string) {
  const { hostname, port } = new URL(target);
  let writes = 0;
  const server = createServer((request, response) => {
    if (request.method !== "GET") writes++;
    const { method, url: path } = request;
    const inner = ask({ hostname, port, method, path, headers: request.headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    inner.once("error", () => response.destroy());
    request.pipe(inner);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    writes: () => writes,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
