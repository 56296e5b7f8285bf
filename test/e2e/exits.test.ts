import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type App, openApp } from "../../src/app.ts";
import { loadConfig } from "../../src/config.ts";
import { silentLog } from "../../src/log.ts";
import { createHurriedClock } from "../fakes/hurried-clock.ts";
import { runGit, withClone } from "./git-client.ts";
import { Stage, seen, type Thread } from "./stage.ts";

/** Counts its runs in `n`, and writes down how it found the tree. */
const COUNTED = `set -eu
n=$(cat "$LAZARUS_ARTIFACTS/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "$LAZARUS_ARTIFACTS/n"
git status --porcelain > "$LAZARUS_ARTIFACTS/found-$n"
echo "run $n" > "run-$n.txt"; echo "run $n" >> all.txt`;
const AGENTS = {
  /** Crashes twice with nothing committed, then is done. */
  third: `${COUNTED}
[ $n -ge 3 ] || exit 3
git add -A; git commit --quiet -m "done at last"`,
  never: `${COUNTED}
exit 3`,
  /** Over its limit once. */
  limited: `${COUNTED}
if [ $n = 1 ]; then echo "Error: rate limit reached. Please try again in 2s." >&2; exit 1; fi
git add -A; git commit --quiet -m "after the limit"`,
  unknown: 'echo "Invalid API key. Please run login" >&2; exit 1',
  asks: `echo half > half.txt; printf 'Which parser?\\n@lead fixes #1\\n' > "$LAZARUS_ARTIFACTS/question.md"`,
  /** Its first run never ends by itself. */
  killed: `${COUNTED}
echo $$ > "$LAZARUS_ARTIFACTS/pid"
while [ $n = 1 ]; do sleep 0.05; done
git add -A; git commit --quiet -m "after it was killed"`,
};
/** So many times as fast: half a minute is over in a second and a half. */
const HURRY = 20;

let stage: Stage;
const agentPid = (cellId: string) =>
  seen("the agent's pid", () => stage.lazarus.readCell(cellId, "artifacts/pid").catch(() => ""), /\d\n/).then(
    Number,
  );
const branchOf = (cellId: string) => stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);

async function subjectsAndFiles(card: string): Promise<{ subjects: string[]; files: string[] }> {
  const number = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  const { head } = await stage.server.pullRequest(stage.repo, number);
  let found = { subjects: [] as string[], files: [] as string[] };
  await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    await runGit(dir, stage.dev, ["fetch", "--quiet", "origin", head.sha]);
    const log = await runGit(dir, null, ["log", "--format=%an: %s", `origin/main..${head.sha}`]);
    const tree = await runGit(dir, null, ["ls-tree", "--name-only", head.sha]);
    found = { subjects: log.stdout.trim().split("\n"), files: tree.stdout.trim().split("\n") };
  });
  return found;
}

describe("with time in a hurry", () => {
  const clock = createHurriedClock(HURRY);
  let app: App | null = null;

  beforeAll(async () => {
    stage = await Stage.set({
      agents: AGENTS,
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
  async function tick(at: Thread): Promise<void> {
    const { json } = await stage.server.api(stage.server.admin, "GET", `/repos/${at.repo}`);
    const repository = { id: (json as { id: number }).id, fullName: at.repo };
    app?.queue.put({
      kind: "thread",
      key: crypto.randomUUID(),
      lane: `thread:${at.number}`,
      payload: { repository, number: at.number, delivered: {} },
    });
  }
  async function type(at: Thread, words: string): Promise<void> {
    await stage.type(stage.dev, at, words);
    await tick(at);
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

  it("brings an agent back that crashes twice, over a restart, and keeps what each run left", async () => {
    const { issue, cellId } = await summon("third", /third tries again in 30 s\*\* \(1 of 2\): exit 3/);
    await close();
    expect(await branchOf(cellId)).toBe(null);
    await open();
    const waiting = await stage.card(issue, /third tries again in 2 min\*\* \(2 of 2\): exit 3/);
    expect(waiting).toMatch(/2 commits, 3 files, \+4 −0 so far, not published yet/);
    expect(await branchOf(cellId)).toBe(null);
    await close();
    await open();
    const card = await stage.card(issue, /third is done\*\*.*→ draft #\d+/);
    expect(await subjectsAndFiles(card)).toEqual({
      subjects: [
        "third: done at last",
        "third: wip: left uncommitted by third",
        "third: wip: left uncommitted by third",
      ],
      files: ["README.md", "all.txt", "run-1.txt", "run-2.txt", "run-3.txt", "src.txt"],
    });
    for (const n of [1, 2, 3]) expect(await stage.lazarus.readCell(cellId, `artifacts/found-${n}`)).toBe("");
    expect(await readdir(join(stage.lazarus.missionsDir, cellId, "logs"))).toEqual(
      expect.arrayContaining(["third-1.log", "third-2.log", "third-3.log"]),
    );
    expect(await stage.replies(issue)).toEqual([]);
    expect(await stage.cards(issue)).toHaveLength(1);
  }, 60_000);

  it("asks a person once nothing helps, publishes what there is, and begins anew when that person says so", async () => {
    const { issue, cellId, card } = await summon("never", /never stopped\*\* \(exit 3.*→ draft #\d+/);
    expect(card).toContain("It was tried twice more by itself, in vain.");
    expect((await subjectsAndFiles(card)).subjects).toEqual(
      Array(3).fill("never: wip: left uncommitted by never"),
    );
    expect(await stage.reply(issue, "needs you: never stopped (exit 3")).toMatch(/^@dev: cell `/);
    await type(issue, "/lazarus why");
    const why = await stage.reply(issue, "because it was tried twice more", 2);
    expect(why).toContain("That counts as crashed: exit 3");
    await type(issue, "/lazarus revive");
    await stage.card(issue, /never tries again in 30 s\*\* \(1 of 2\)/);
    await type(issue, "/lazarus stop");
    await stage.card(issue, /never stopped\*\* \(exit 3.*→ draft #\d+/);
    expect(await stage.lazarus.readCell(cellId, "artifacts/n")).toBe("4\n");
  }, 90_000);

  it.each([
    [
      "the agent",
      "is done",
      (pid: number) => process.kill(pid, "SIGKILL"),
      /killed tries again.*ended by signal KILL/,
    ],
    [
      "the agent and its shim",
      "is done",
      (pid: number) => process.kill(-pid, "SIGKILL"),
      /killed tries again.*gone/,
    ],
  ])(
    "brings %s back after kill -9",
    async (what, _done, kill, expected) => {
      const { issue, cellId } = await summon("killed", /is working/);
      const pid = await agentPid(cellId);
      const session = JSON.parse(
        await readFile(join(stage.lazarus.missionsDir, cellId, "state/run.json"), "utf8"),
      ).pid;
      kill(what === "the agent" ? pid : session);
      await stage.card(issue, expected);
      const card = await stage.card(issue, /killed is done\*\*.*→ draft #\d+/);
      expect((await subjectsAndFiles(card)).subjects).toEqual([
        "killed: after it was killed",
        "killed: wip: left uncommitted by killed",
      ]);
    },
    60_000,
  );
});

describe("by the real clock", () => {
  beforeAll(async () => {
    stage = await Stage.set({ agents: AGENTS, limits: { revives: 2 } });
  });
  afterAll(() => stage?.strike());

  async function summon(agent: string): Promise<Thread> {
    const issue = await stage.openIssue(`A task for ${agent}`);
    await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
    return issue;
  }

  it("goes on when the quota resets, and tells nobody", async () => {
    const issue = await summon("limited");
    await stage.card(issue, /limited (goes on at .*its quota resets|is about to go on)/);
    const card = await stage.card(issue, /limited is done\*\*.*→ draft #\d+/);
    expect((await subjectsAndFiles(card)).subjects).toEqual([
      "limited: after the limit",
      "limited: wip: left uncommitted by limited",
    ]);
    expect(await stage.replies(issue)).toEqual([]);
  });

  it("asks at once where it is not logged in", async () => {
    const issue = await summon("unknown");
    await stage.card(issue, "**needs you**: unknown is not logged in");
    const said = await stage.reply(issue, "needs you");
    expect(said).toMatch(
      /^@dev: cell `.*` needs you: unknown is not logged in\. It says: Invalid API key\. Please run login\. `\/lazarus revive/,
    );
  });

  it("puts a question before who asked, as words that do nothing, with the work so far", async () => {
    const issue = await summon("asks");
    const card = await stage.card(issue, /\*\*needs you\*\*: asks asks a question; 1 commit.*→ draft #\d+/);
    expect(card).toContain("> Which parser?");
    const said = await stage.reply(issue, "asks a question");
    expect(said).toMatch(/^@dev: cell/);
    expect(said).not.toMatch(/(^|[^\\])@lead|fixes #1/);
    const { stdout } = await stage.lazarus.cli("status", await stage.cellId(issue), "--json");
    expect(JSON.parse(stdout).cells[0]).toMatchObject({ exit: "question", next_run_at: null, breaker: null });
  });
});
