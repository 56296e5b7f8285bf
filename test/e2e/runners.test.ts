import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { logPass } from "../../src/http/far-logs.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { RunnerProcess } from "../scale/runner-process.ts";
import { AGENTS } from "./agents.ts";
import { Stage, type Thread } from "./stage.ts";

let redis: RedisServer;
let stage: Stage;
let runner: RunnerProcess;

const masterKey = async () =>
  Buffer.from((await readFile(join(stage.lazarus.dataDir, "runners.key"), "utf8")).trim(), "hex");

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
    const registry = new Database(join(stage.lazarus.dataDir, "lazarus.db"), { readonly: true });
    const standing = registry.prepare("SELECT standing FROM runners").pluck();
    await until("its runner says that a tree waits there for the next cell", () => {
      const { trees } = JSON.parse(String(standing.get())) as { trees: number[] };
      return trees.length === 1;
    });
    registry.close();
  });

  it("has logs for its people and for the operator, and names its runner", async () => {
    await stage.type(stage.dev, issue, "/lazarus logs --tail 1");
    await stage.reply(issue, /Log of run 1[\s\S]*allegro is ready/);
    const logs = await stage.lazarus.cli("logs", cellId, "--tail", "1");
    expect([logs.code, logs.stdout]).toEqual([0, "allegro is ready\n"]);
    expect(await stage.status(cellId)).toMatchObject({ runner: "r1" });
    expect((await stage.lazarus.cli("status", cellId)).stdout).toMatch(/^runner {3}r1$/m);
    expect(await stage.card(issue, /on r1/)).toContain(`cell \`${cellId.slice(0, 8)}\` on r1`);
  });

  it("gives its log to nobody else who asks the server", async () => {
    const url = `${stage.lazarus.url}/cells/${cellId}/logs/allegro-1.log`;
    const stale = logPass(await masterKey(), new URL(url).pathname, Date.now() - 10 * 60_000);
    const ofAnother = logPass(await masterKey(), "/cells/x/logs/allegro-1.log", Date.now());
    for (const pass of ["", "Lazarus 1.x", "Bearer x", stale, ofAnother])
      expect((await fetch(url, { headers: { Authorization: pass } })).status).toBe(401);
    const right = logPass(await masterKey(), new URL(url).pathname, Date.now());
    expect(await (await fetch(url, { headers: { Authorization: right } })).json()).toMatchObject({
      text: expect.stringContaining("allegro is ready"),
    });
  });

  it("is followed to the end of its run, also over a while in which its runner is away", async () => {
    const other = await stage.openIssue("Wait for me");
    await stage.type(stage.dev, other, "/lazarus summon patient");
    await stage.card(other, /patient is working/);
    const id = await stage.cellId(other);
    const following = stage.lazarus.cli("logs", id, "-f");
    await runner.end("SIGKILL");
    await stage.card(other, /Its runner r1 has not been heard since/);
    await runner.start();
    await stage.card(other, /^(?![\s\S]*has not been heard)/);
    await writeFile(join(runner.missionsDir, id, "artifacts", "go"), "");
    expect((await following).stdout).toBe("patient waits\n");
    await stage.card(other, /→ draft #\d+/);
  });

  it("is stopped, revived and closed as one of the server's own is", async () => {
    const other = await stage.openIssue("Never ends");
    await stage.type(stage.dev, other, "/lazarus summon endless");
    await stage.card(other, /endless is working/);
    const id = await stage.cellId(other);
    await until("its work began", () => existsSync(join(runner.missionsDir, id, "artifacts", "pid")));
    await stage.type(stage.dev, other, "/lazarus stop");
    await stage.card(other, /endless was stopped[\s\S]*→ draft #\d+/);
    await stage.type(stage.dev, other, "/lazarus revive allegro");
    await stage.card(other, /allegro is done[\s\S]*→ draft #\d+/);
    expect((await stage.lazarus.cli("close", id)).code).toBe(0);
    await stage.card(other, /closed by[\s\S]*archived/);
    expect(existsSync(join(runner.missionsDir, id, "archive", "cell.tar.gz"))).toBe(true);
    await until("its tree is gone", () => !existsSync(join(runner.missionsDir, id, "worktree", ".git")));
    expect(await stage.status(id)).toMatchObject({ runner: "r1", state: "archived" });
  });

  it("has no log while its server is away, and says what to do", async () => {
    await stage.lazarus.end();
    const logs = await stage.lazarus.cli("logs", cellId);
    expect([logs.code, logs.stderr]).toEqual([
      1,
      expect.stringMatching(/no server answers at .*start lazarus serve/),
    ]);
    await stage.lazarus.serve();
  });
});
