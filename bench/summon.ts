import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gitEnvironment } from "../test/fakes/forge/git.ts";
import { until } from "../test/fakes/until.ts";
import { FILE_COUNT, type ForgeProcess } from "./forge.ts";
import { type Figure, median, type Serving, serve, syncDisks } from "./ground.ts";

const ROUNDS = 7;
const START_MS = 30_000;
/** The agent: it says when it began, in nanoseconds, and that is all. */
const AGENT = ["/bin/date", "+%s%N"];

/**
 * From the first byte of a signed delivery to the agent's first instruction, the mirror being warm, against a
 * bare clone that shares the objects of the same mirror and the same agent right after it.
 */
export async function warmSummon(dir: string, forge: ForgeProcess): Promise<Figure> {
  const serving = await serve(join(dir, "summon"), forge, AGENT);
  try {
    await summonOnce(serving, forge);
    const mirror = join(serving.dataDir, "mirrors", `${forge.repositoryId}.git`);
    const floor: number[] = [];
    const measured: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      floor.push(await cloneOnce(mirror, join(dir, "summon", `floor-${round}`)));
      measured.push(await summonOnce(serving, forge));
    }
    return {
      name: `warm summon, ${FILE_COUNT.toLocaleString("en")} files`,
      floor: `${median(floor).toFixed(0)} ms`,
      measured: `${median(measured).toFixed(0)} ms`,
      ratio: median(measured) / median(floor),
      reach: { atMost: 1.3 },
    };
  } finally {
    await serving.end();
  }
}

/** Milliseconds from posting the delivery to the time that the agent wrote. */
async function summonOnce(serving: Serving, forge: ForgeProcess): Promise<number> {
  const { headers, body } = await forge.type("/lazarus summon stamp");
  await serving.settled();
  const before = new Set(readdirSync(serving.missionsDir));
  syncDisks();
  const began = Date.now();
  const { "Accept-Encoding": _, ...sent } = headers;
  const answer = await fetch(`${serving.url}/webhooks/gitea`, { method: "POST", headers: sent, body });
  if (answer.status !== 202) throw new Error(`the delivery was answered ${answer.status}`);
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
