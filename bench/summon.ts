import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gitEnvironment } from "../test/fakes/forge/git.ts";
import { until } from "../test/fakes/until.ts";
import { type Delivery, FILE_COUNT, type ForgeProcess, startForge } from "./forge.ts";
import { type Figure, median, type Serving, serve, syncDisks } from "./ground.ts";

const ROUNDS = 7;
const LARGE = 60_000;
const START_MS = 30_000;
/** The agent: it says when it began, in nanoseconds, and that is all. */
const AGENT = ["/bin/date", "+%s%N"];

/**
 * From the first byte of a signed delivery to the agent's first instruction, the mirror being warm, against a
 * bare clone that shares the objects of the same mirror and the same agent right after it.
 */
export async function warmSummon(dir: string, forge: ForgeProcess): Promise<Figure> {
  return against(await summonsAndClones(join(dir, "summon"), forge, 0), {
    name: `summon without a tree that waits, ${FILE_COUNT.toLocaleString("en")} files`,
    atMost: 1.2,
  });
}

/** The same where a tree of the repository waits. */
export async function spareSummon(dir: string, forge: ForgeProcess): Promise<Figure> {
  return against(await summonsAndClones(join(dir, "spare"), forge, 1), {
    name: `summon with a tree that waits, ${FILE_COUNT.toLocaleString("en")} files`,
    atMost: 0.5,
  });
}

/** The same with ten times as many files, against as many as above. */
export async function largeSummon(dir: string, forge: ForgeProcess): Promise<Figure> {
  const small = await summonsAndClones(join(dir, "small"), forge, 1);
  const largeForge = await startForge(dir, LARGE);
  try {
    const large = await summonsAndClones(join(dir, "large"), largeForge, 1);
    return against(
      { floor: small.measured, measured: large.measured },
      {
        name: `summon with a tree that waits, ${LARGE.toLocaleString("en")} files against ${FILE_COUNT.toLocaleString("en")}`,
        atMost: 1.5,
      },
    );
  } finally {
    await largeForge.stop();
  }
}

interface Times {
  readonly floor: readonly number[];
  readonly measured: readonly number[];
}

/** Floor and product take turns. Before the first one that counts each has been done once. */
async function summonsAndClones(dir: string, forge: ForgeProcess, spares: number): Promise<Times> {
  const limits = { spares, cells: 64, per_repository: 64, per_person: 64 };
  const serving = await serve(dir, forge, AGENT, { limits });
  try {
    // The look at its start may find the comment before its delivery comes.
    await post(serving, await forge.type("/lazarus summon stamp"));
    await serving.settled();
    const mirror = join(serving.dataDir, "mirrors", `${forge.repositoryId}.git`);
    const floor: number[] = [];
    const measured: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      floor.push(await cloneOnce(mirror, join(dir, `floor-${round}`)));
      measured.push(await summonOnce(serving, forge));
    }
    return { floor, measured };
  } finally {
    await serving.end();
  }
}

function against({ floor, measured }: Times, how: { name: string; atMost: number }): Figure {
  return {
    name: how.name,
    floor: `${median(floor).toFixed(0)} ms`,
    measured: `${median(measured).toFixed(0)} ms`,
    ratio: median(measured) / median(floor),
    reach: { atMost: how.atMost },
  };
}

/** Milliseconds from posting the delivery to the time that the agent wrote. */
async function summonOnce(serving: Serving, forge: ForgeProcess): Promise<number> {
  const delivery = await forge.type("/lazarus summon stamp");
  await serving.settled();
  const before = new Set(readdirSync(serving.missionsDir));
  syncDisks();
  const began = Date.now();
  await post(serving, delivery);
  let stamp: number | null = null;
  await until(
    "the agent has begun",
    () => {
      const cell = readdirSync(serving.missionsDir).find(
        (name) => !name.startsWith(".") && !before.has(name),
      );
      stamp = cell === undefined ? null : readStamp(join(serving.missionsDir, cell, "logs", "stamp-1.log"));
      return stamp !== null;
    },
    START_MS,
  );
  await serving.settled();
  return (stamp ?? Number.NaN) - began;
}

async function post(serving: Serving, { headers, body }: Delivery): Promise<void> {
  const { "Accept-Encoding": _, ...sent } = headers;
  const answer = await fetch(`${serving.url}/webhooks/gitea`, { method: "POST", headers: sent, body });
  if (answer.status !== 202) throw new Error(`the delivery was answered ${answer.status}`);
}

/** The same by hand: a clone that borrows the mirror's objects, then the agent. */
async function cloneOnce(mirror: string, to: string): Promise<number> {
  syncDisks();
  const began = Date.now();
  await run("git", ["clone", "--quiet", "--shared", mirror, to], "ignore");
  const log = openSync(`${to}.log`, "w");
  try {
    const [program = "", ...words] = AGENT;
    await run(program, words, log);
  } finally {
    closeSync(log);
  }
  return (readStamp(`${to}.log`) ?? Number.NaN) - began;
}

async function run(program: string, words: readonly string[], output: "ignore" | number): Promise<void> {
  const child = spawn(program, words, { env: gitEnvironment(), stdio: ["ignore", output, "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${program} ${words[0] ?? ""} exited with ${String(code)}`);
}

/** Epoch milliseconds, as the agent wrote them; null where it has not yet. */
function readStamp(path: string): number | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^\d{19}$/.test(text) ? Number(BigInt(text) / 1_000n) / 1_000 : null;
  } catch {
    return null;
  }
}
