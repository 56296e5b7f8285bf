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
/** Nobody waits in line. */
const MANY = { cells: 64, per_repository: 64, per_person: 64 };
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

/**
 * A turn: from a message's delivery to its agent's first instruction in a cell that is idle, against a summon
 * in the same run that clones.
 */
export async function turnStart(dir: string, forge: ForgeProcess): Promise<Figure> {
  const serving = await serve(join(dir, "turn"), forge, AGENT, { limits: { ...MANY, spares: 0, turns: 0 } });
  try {
    await post(serving, await forge.type("/lazarus summon stamp"));
    await serving.settled();
    const times: { floor: number[]; measured: number[] } = { floor: [], measured: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const { ms, cell, issue } = await summonOnce(serving, forge);
      times.floor.push(ms);
      times.measured.push(await tellOnce(serving, forge, { cell, issue }));
    }
    return against(times, { name: "a turn's start against a summon that clones", atMost: 0.6 });
  } finally {
    await serving.end();
  }
}

interface Times {
  readonly floor: readonly number[];
  readonly measured: readonly number[];
}

/** Floor and product take turns. Before the first one that counts each has been done once. */
async function summonsAndClones(dir: string, forge: ForgeProcess, spares: number): Promise<Times> {
  const limits = { ...MANY, spares };
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
      measured.push((await summonOnce(serving, forge)).ms);
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

interface Summoned {
  /** From posting the delivery to the time that the agent wrote. */
  readonly ms: number;
  readonly cell: string;
  readonly issue: number;
}

async function summonOnce(serving: Serving, forge: ForgeProcess): Promise<Summoned> {
  const delivery = await forge.type("/lazarus summon stamp");
  await serving.settled();
  const before = new Set(readdirSync(serving.missionsDir));
  const cell = () =>
    readdirSync(serving.missionsDir).find((name) => !name.startsWith(".") && !before.has(name));
  const ms = await untilBegun(serving, delivery, () => {
    const name = cell();
    return name === undefined ? null : join(serving.missionsDir, name, "logs", "stamp-1.log");
  });
  return { ms, cell: cell() ?? "", issue: delivery.number };
}

async function tellOnce(
  serving: Serving,
  forge: ForgeProcess,
  { cell, issue }: Pick<Summoned, "cell" | "issue">,
): Promise<number> {
  const delivery = await forge.type("/lazarus tell go on", issue);
  await serving.settled();
  return untilBegun(serving, delivery, () => join(serving.missionsDir, cell, "logs", "stamp-2.log"));
}

async function untilBegun(serving: Serving, delivery: Delivery, logOf: () => string | null): Promise<number> {
  syncDisks();
  const began = Date.now();
  await post(serving, delivery);
  let stamp: number | null = null;
  await until(
    "the agent has begun",
    () => {
      const log = logOf();
      stamp = log === null ? null : readStamp(log);
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
