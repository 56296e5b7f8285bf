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
const runners: RunnerProcess[] = [];

/** Another host, once the server has heard it. */
async function addRunner(name: string): Promise<RunnerProcess> {
  const added = await stage.lazarus.cli("runner", "add", name, "--json");
  const { join: line } = JSON.parse(added.stdout) as { join: string };
  const runner = await RunnerProcess.make({ redisUrl: redis.url, join: line, agents: AGENTS });
  runners.push(runner);
  await runner.start();
  await until(`${name} has joined`, async () => {
    const { stdout } = await stage.lazarus.cli("runner", "list", "--json");
    const all = (JSON.parse(stdout) as { runners: { name: string; version: string | null }[] }).runners;
    return all.find((one) => one.name === name)?.version != null;
  });
  return runner;
}

beforeAll(async () => {
  redis = await RedisServer.start();
  const more = { queue: redis.url, runner: { slots: 0 } };
  stage = await Stage.set({ more, agents: {}, directors: ["lead"] });
});

afterAll(async () => {
  for (const runner of runners) await runner.remove();
  await stage?.strike();
  await redis?.remove();
});

describe("cells of a runner that was given up", needs("redis-server"), () => {
  let second: RunnerProcess;
  let published: { issue: Thread; id: string };
  let unpublished: { issue: Thread; id: string };

  it("are lost; their cards say what stays, and where another run would begin", async () => {
    const first = await addRunner("r1");
    second = await addRunner("r2");
    await stage.lazarus.cli("runner", "drain", "r2");
    const issue = await stage.openIssue("Make the parser accept empty input");
    await stage.type(stage.dev, issue, "/lazarus summon allegro");
    await stage.card(issue, /allegro is done[\s\S]*→ draft #\d+/);
    published = { issue, id: await stage.cellId(issue) };
    const other = await stage.openIssue("Never ends");
    await stage.type(stage.dev, other, "/lazarus summon endless");
    await stage.card(other, /endless is working/);
    unpublished = { issue: other, id: await stage.cellId(other) };
    await until("it has begun", () =>
      existsSync(join(first.missionsDir, unpublished.id, "artifacts", "pid")),
    );
    await first.remove();
    const forgotten = await stage.lazarus.cli("runner", "forget", "r1", "--yes", "--json");
    expect(JSON.parse(forgotten.stdout)).toMatchObject({ cells: [published.id, unpublished.id] });
    await stage.card(
      issue,
      /\*\*lost\*\*, its runner r1 was given up: what it pushed stays \(#\d+\), and another run begins there/,
    );
    await stage.card(other, /\*\*lost\*\*, its runner r1 was given up: nothing had been pushed/);
    for (const { id } of [published, unpublished])
      expect(await stage.status(id)).toMatchObject({ state: "archived", outcome: "lost", runner: "local" });
  });

  it("wait for a runner when they are revived while none takes new cells", async () => {
    await stage.type(stage.lead, published.issue, "/lazarus revive");
    await stage.card(
      published.issue,
      /\*\*allegro waits for a place\*\*, to begin anew: 1st in line; r2: it is being drained/,
    );
  });

  it("begin anew on another runner: from what was pushed", async () => {
    await stage.lazarus.cli("runner", "undrain", "r2");
    // Three commits of the run that was lost, and three of the new one: on the same branch, in the same draft.
    await stage.card(published.issue, /allegro is done\*\*: 6 commits[\s\S]*→ draft #\d+/);
    expect(await stage.status(published.id)).toMatchObject({ state: "idle", runner: "r2", outcome: "done" });
    expect(existsSync(join(second.missionsDir, published.id, "worktree", "left-4.txt"))).toBe(true);
    const drafts = await stage.server.pullRequests(stage.repo);
    expect(drafts.filter((one) => one.title.endsWith(`(#${published.issue.number})`))).toHaveLength(1);
  });

  it("or from the base, where nothing was", async () => {
    await stage.type(stage.lead, unpublished.issue, "/lazarus revive allegro");
    await stage.card(unpublished.issue, /allegro is done\*\*: 3 commits[\s\S]*→ draft #\d+/);
    expect(await stage.status(unpublished.id)).toMatchObject({ state: "idle", runner: "r2" });
  });
});
