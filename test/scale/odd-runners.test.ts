import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { JOBS } from "../../src/protocol/jobs.ts";
import { PROTOCOL } from "../../src/protocol/runner-facts.ts";
import { connect } from "../../src/transport/bullmq.ts";
import { readJoinLine, wayKeys } from "../../src/transport/keys.ts";
import type { Post } from "../../src/transport/post.ts";
import { createRunnerEnd, type RunnerEnd } from "../../src/transport/runner-end.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";

const HOURS_MS = 3 * 60 * 60_000;
/** Far less than the clock is off. */
const BLUR_MS = 60_000;

let fleet: FleetStage;
beforeAll(async () => {
  fleet = await FleetStage.set({ pit: { scan: "1s" } });
});
afterAll(() => fleet?.strike());

/** The environment of a Lazarus whose clock is off. */
async function clockOff(dir: string, ms: number): Promise<Record<string, string>> {
  const clock = join(dir, `clock${ms}.cjs`);
  await writeFile(clock, `const now = Date.now; Date.now = () => now() + ${ms};`);
  return { NODE_OPTIONS: `--require ${clock}` };
}

/** When its first run began and ended, as control has it. */
function timesOf(cellId: string): number[] {
  const db = new Database(join(fleet.stage.lazarus.dir, "data", "lazarus.db"), { readonly: true });
  const row = db.prepare("SELECT started_at, ended_at FROM runs WHERE cell = ?").get(cellId);
  db.close();
  return Object.values(row as Record<string, number>);
}

/** A runner of another make: it joins, and says more than anybody knows. */
async function joins(name: string, facts: { protocol: number; version: string }) {
  const line = readJoinLine(await fleet.add(name));
  const at = { kind: "redis", host: "127.0.0.1", port: fleet.redis.port, db: 0, isTls: false } as const;
  const post: Post = await connect({
    ...{ ...at, user: null, password: null, ca: null, prefix: line.prefix, log: silentLog },
  });
  const agent = {
    ...({ name: "waits", preset: null, backend: "process", network: "none", unavailable: null } as const),
    ...{ hasCoAuthor: false, costUsd: 0, tokens: 0, runMs: 60_000, mood: "good" },
  };
  const end: RunnerEnd = createRunnerEnd({
    ...{ name, generation: line.generation, post, clock: systemClock, log: silentLog },
    keys: wayKeys(Buffer.from(line.key, "hex")),
    redact: (text) => text,
    facts: {
      ...{ ...facts, bootId: "boot", kinds: Object.keys(JOBS), labels: [], slots: 9, beatMs: 500 },
      agents: [agent],
    },
    standing: async () => ({
      ...{ now: Date.now(), full: null, freeBytes: 1e12, mirrors: [], trees: [], cells: 0, mood: "good" },
    }),
    open: () => Promise.reject(new Error("nothing is done here")),
    policyChanged() {},
    localize: (job) => job,
    localizeWatched: (watched) => watched,
    ended() {},
    maySweep: async () => false,
    passes() {},
  });
  await fleet.heard(name);
  return async () => {
    await end.close(0);
    await post.close();
    await fleet.stage.lazarus.cli("runner", "forget", name, "--yes");
  };
}

describe("a runner whose clock is three hours off", needs("redis-server"), () => {
  it.each([
    ["ahead", HOURS_MS],
    ["behind", -HOURS_MS],
  ])("(%s) runs its cells to their drafts, and makes no run older or younger", async (how, ms) => {
    const { stage, runner } = fleet;
    await runner.end();
    await runner.start(await clockOff(runner.dir, ms));
    await until(
      "its clock is named",
      async () => (await fleet.listed())?.note.includes(`its clock is 3h ${how}`) === true,
    );
    const before = Date.now();
    const cell = await fleet.summon(`The clock is ${how}`);
    expect(await stage.status(cell.cellId)).toMatchObject({ state: "active", health: "healthy" });
    await fleet.goOn(cell);
    for (const at of timesOf(cell.cellId))
      expect([at > before - BLUR_MS, at < Date.now() + BLUR_MS]).toEqual([true, true]);
    await runner.end();
    await runner.start();
    await until("its clock is right", async () => (await fleet.listed())?.note.includes("clock") === false);
  });
});

describe("a runner of another protocol", needs("redis-server"), () => {
  it.each([
    ["newer", PROTOCOL + 1, "9.9.0", /r-newer: its version 9\.9\.0 is too new; upgrade Lazarus/],
    ["older", PROTOCOL - 1, "0.0.1", /r-older: its version 0\.0\.1 is too old; upgrade it/],
  ])("(%s) gets no new cell, in words, and cells of others go on", async (how, protocol, version, why) => {
    const { stage } = fleet;
    const leave = await joins(`r-${how}`, { protocol, version });
    try {
      expect(await fleet.listed(`r-${how}`)).toMatchObject({ version });
      await stage.lazarus.cli("runner", "drain", "r1");
      const issue = await stage.openIssue(`For a ${how} one`);
      await stage.type(stage.dev, issue, "/lazarus summon waits");
      await stage.card(issue, why);
      await stage.lazarus.cli("runner", "undrain", "r1");
      await stage.card(issue, /waits is working/);
      await fleet.goOn({ issue, cellId: await stage.cellId(issue) });
    } finally {
      await leave();
    }
  });
});

describe("a runner that was forgotten, and is added again with its old disk", needs("redis-server"), () => {
  it("ends what still runs there of cells that were given up, removes it, and takes new cells", async () => {
    const { stage, runner } = fleet;
    const lost = await fleet.summon("Given up while it runs");
    const file = join(runner.missionsDir, lost.cellId, "state", "run.json");
    await until("it is written down there", () => existsSync(file));
    const state = await readFile(file, "utf8");
    const { pid } = JSON.parse(state) as { pid: number };
    await runner.end("SIGKILL");
    await stage.lazarus.cli("runner", "forget", "r1", "--yes");
    await stage.card(lost.issue, /[Ii]ts runner r1 was given up/);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await writeFile(join(runner.dir, "join"), await fleet.add("r1"), { mode: 0o600 });
    await runner.start();
    await fleet.heard();
    await until("its process has ended", () => !existsSync(`/proc/${pid}`));
    await until("its directory is gone", () => !existsSync(join(runner.missionsDir, lost.cellId)));
    expect(await stage.status(lost.cellId)).toMatchObject({ state: "archived", outcome: "lost" });
    await fleet.goOn(await fleet.summon("After it came back"));
  });
});
