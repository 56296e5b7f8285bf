import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { RunnerProcess } from "../scale/runner-process.ts";
import { AGENTS } from "./agents.ts";
import { Stage, type Thread } from "./stage.ts";

let redis: RedisServer;
let stage: Stage;
let runner: RunnerProcess;

beforeAll(async () => {
  redis = await RedisServer.start();
  stage = await Stage.set({ more: { queue: redis.url, runner: { slots: 0 } }, agents: {} });
  const added = await stage.lazarus.cli("runner", "add", "r1", "--json");
  const { join: line } = JSON.parse(added.stdout) as { join: string };
  runner = await RunnerProcess.make({ redisUrl: redis.url, join: line, agents: AGENTS });
  await runner.start();
});

afterAll(async () => {
  await runner?.remove();
  await stage?.strike();
  await redis?.remove();
});

describe("a cell on a runner of another host", needs("redis-server"), () => {
  let issue: Thread;
  let cellId: string;

  it("is worked off there, pushed through the gate, and becomes a draft", async () => {
    issue = await stage.openIssue("Make the parser accept empty input", { body: "It throws." });
    await until("the runner has joined", async () => {
      const { stdout } = await stage.lazarus.cli("runner", "list", "--json");
      const [one] = (JSON.parse(stdout) as { runners: { version: string | null }[] }).runners;
      return one?.version != null;
    });
    await stage.type(stage.dev, issue, "/lazarus summon allegro -- and add a test");
    await stage.card(issue, /→ draft #\d+/);
    cellId = await stage.cellId(issue);
    expect(existsSync(join(runner.missionsDir, cellId, "worktree"))).toBe(true);
    expect(existsSync(join(stage.lazarus.missionsDir, cellId))).toBe(false);
  });
});
