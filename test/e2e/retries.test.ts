import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type App, openApp } from "../../src/app.ts";
import { loadConfig } from "../../src/config/config.ts";
import { issueHash, sha256 } from "../../src/hash.ts";
import { silentLog } from "../../src/log.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import { createSkippingClock } from "../fakes/skipping-clock.ts";
import { draftOf, EXIT_AGENTS } from "./exit-agents.ts";
import { Stage, seen, type Thread } from "./stage.ts";

const HALF_A_MINUTE_MS = 30_000;
const TEST_MS = 400_000;

let stage: Stage;
const agentPid = async (cellId: string) =>
  Number(
    await seen(
      "the agent's pid",
      () => stage.lazarus.readCell(cellId, "artifacts/pid").catch(() => ""),
      /\d\n/,
    ),
  );
const branchOf = (cellId: string) => stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);

describe("a run that goes on by itself", () => {
  const clock = createSkippingClock();
  let app: App | null = null;

  beforeAll(async () => {
    stage = await Stage.set({
      agents: EXIT_AGENTS,
      serve: false,
      limits: { revives: 2, cells: 20, per_repository: 20, per_person: 20 },
    });
  });
  afterEach(() => close());
  afterAll(() => stage?.strike());

  async function open(): Promise<App> {
    const config = loadConfig({
      file: stage.lazarus.configPath,
      env: { PATH: process.env.PATH ?? "" },
      cwd: stage.lazarus.dir,
      needs: ["forge", "server", "agents"],
    });
    app = await openApp(config, { log: silentLog, adapters: { clock } });
    return app;
  }
  async function close(): Promise<void> {
    await app?.stop();
    app = null;
  }
  /** As a delivery does: somebody should look at the thread. */
  async function tick(at: Thread, delivered: JobPayload<"thread">["delivered"] = {}): Promise<void> {
    const { json } = await stage.server.api(stage.server.admin, "GET", `/repos/${at.repo}`);
    const repository = { id: (json as { id: number }).id, fullName: at.repo };
    app?.queue.put({
      kind: "thread",
      key: crypto.randomUUID(),
      lane: `thread:${at.number}`,
      payload: { repository, number: at.number, delivered },
    });
  }
  /** With what its delivery says: a command without one waits five seconds for it. */
  async function type(at: Thread, words: string): Promise<void> {
    const id = await stage.type(stage.dev, at, words);
    const { json } = await stage.server.api(stage.dev, "GET", `/repos/${at.repo}/issues/${at.number}`);
    const { title, body } = json as { title: string; body: string };
    await tick(at, { [id]: { body: sha256(words), hadCommand: true, issue: issueHash(title, body) } });
  }
  async function summon(
    agent: string,
    expected: RegExp,
  ): Promise<{ issue: Thread; cellId: string; card: string }> {
    await open();
    const issue = await stage.openIssue(`A task for ${agent}`);
    await type(issue, `/lazarus summon ${agent}`);
    return { issue, card: await stage.card(issue, expected), cellId: await stage.cellId(issue) };
  }

  it(
    "brings an agent back that crashes twice, over a restart, and keeps what each run left",
    async () => {
      const { issue, cellId } = await summon("third", /third tries again in 30 s\*\* \(1 of 2\): exit 3/);
      await close();
      expect(await branchOf(cellId)).toBe(null);
      clock.skip(HALF_A_MINUTE_MS);
      await open();
      const waiting = await stage.card(issue, /third tries again in 2 min\*\* \(2 of 2\): exit 3/);
      expect(waiting).toMatch(/2 commits, 3 files, \+4 −0 so far, not published yet/);
      expect(await branchOf(cellId)).toBe(null);
      await close();
      await open();
      clock.skip(4 * HALF_A_MINUTE_MS);
      const card = await stage.card(issue, /third is done\*\*.*→ draft #\d+/);
      expect(await draftOf(stage, card)).toEqual({
        subjects: [
          "third: done at last",
          "third: wip: left uncommitted by third",
          "third: wip: left uncommitted by third",
        ],
        files: ["README.md", "all.txt", "run-1.txt", "run-2.txt", "run-3.txt", "src.txt"],
      });
      for (const n of [1, 2, 3])
        expect(await stage.lazarus.readCell(cellId, `artifacts/found-${n}`)).toBe("");
      expect(await readdir(join(stage.lazarus.missionsDir, cellId, "logs"))).toEqual(
        expect.arrayContaining(["third-1.log", "third-2.log", "third-3.log"]),
      );
      expect(await stage.replies(issue)).toEqual([]);
      expect(await stage.cards(issue)).toHaveLength(1);
    },
    TEST_MS,
  );

  it(
    "asks a person once nothing helps, publishes what there is, and begins anew when that person says so",
    async () => {
      const { issue, cellId } = await summon("never", /never tries again in 30 s/);
      clock.skip(HALF_A_MINUTE_MS);
      await stage.card(issue, /never tries again in 2 min/);
      clock.skip(4 * HALF_A_MINUTE_MS);
      const card = await stage.card(issue, /never stopped\*\* \(exit 3.*→ draft #\d+/);
      expect(card).toContain("2 automatic retries failed.");
      expect((await draftOf(stage, card)).subjects).toEqual(
        Array(3).fill("never: wip: left uncommitted by never"),
      );
      expect(await stage.reply(issue, "needs you: never stopped (exit 3")).toMatch(/^@dev: cell `/);
      await type(issue, "/lazarus why");
      const why = await stage.reply(issue, "because 2 automatic retries failed", 2);
      expect(why).toContain("That counts as crashed: exit 3");
      await type(issue, "/lazarus revive");
      await stage.card(issue, /never tries again in 30 s\*\* \(1 of 2\)/);
      await type(issue, "/lazarus revive");
      await seen("its fifth run", () => stage.lazarus.readCell(cellId, "artifacts/n"), "5");
      const waits = async () => String((await stage.status(cellId)).next_run_at !== null);
      await seen("the retry after it", waits, "true");
      await type(issue, "/lazarus stop");
      await stage.card(issue, /never stopped\*\* \(exit 3.*→ draft #\d+/);
      expect(await stage.lazarus.readCell(cellId, "artifacts/n")).toBe("5\n");
    },
    TEST_MS,
  );

  it(
    "goes on when its quota resets",
    async () => {
      const { issue } = await summon("limited", /limited goes on at \d\d:\d\d UTC\*\*: its quota resets/);
      clock.skip(2 * HALF_A_MINUTE_MS);
      const card = await stage.card(issue, /limited is done\*\*.*→ draft #\d+/);
      expect((await draftOf(stage, card)).files).toContain("run-2.txt");
      expect(await stage.replies(issue)).toEqual([]);
    },
    TEST_MS,
  );

  it.each([
    ["the agent", /killed tries again.*ended by signal KILL/],
    ["the agent and its shim", /killed tries again.*gone/],
  ])(
    "comes back after kill -9 of %s, with what it left",
    async (what, expected) => {
      const { issue, cellId } = await summon("killed", /is working/);
      const pid = await agentPid(cellId);
      const shim = JSON.parse(await stage.lazarus.readCell(cellId, "state/run.json")).pid;
      process.kill(what === "the agent" ? pid : -shim, "SIGKILL");
      await stage.card(issue, expected);
      clock.skip(HALF_A_MINUTE_MS);
      const card = await stage.card(issue, /killed is done\*\*.*→ draft #\d+/);
      expect((await draftOf(stage, card)).subjects).toEqual([
        "killed: after it was killed",
        "killed: wip: left uncommitted by killed",
      ]);
    },
    TEST_MS,
  );
});
