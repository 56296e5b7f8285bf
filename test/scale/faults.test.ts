import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, type Thread } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "./redis.ts";
import { RunnerProcess } from "./runner-process.ts";

/** Works until somebody says go, and leaves a commit; counts how often it was started. */
const WAITS = `
echo start >> "$LAZARUS_ARTIFACTS/starts"
while [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.1; done
echo done > made.txt; git add made.txt; git commit -qm "made it"
`;

let redis: RedisServer;
let stage: Stage;
let runner: RunnerProcess;
let line = "";

beforeAll(async () => {
  redis = await RedisServer.start();
  stage = await Stage.set({ more: { queue: redis.url, runner: { slots: 0 } }, agents: {} });
  line = (JSON.parse((await stage.lazarus.cli("runner", "add", "r1", "--json")).stdout) as { join: string })
    .join;
  runner = await RunnerProcess.make({ redisUrl: redis.url, join: line, agents: { waits: WAITS } });
  await runner.start();
  await heard();
});
afterAll(async () => {
  await runner?.remove();
  await stage?.strike();
  await redis?.remove();
});

interface Listed {
  readonly name: string;
  readonly heard_at: string | null;
  readonly note: string;
}

async function listed(name = "r1"): Promise<Listed | undefined> {
  const { stdout } = await stage.lazarus.cli("runner", "list", "--json");
  return (JSON.parse(stdout) as { runners: Listed[] }).runners.find((one) => one.name === name);
}

/** Waits until it is heard anew. */
async function heard(since = Date.now()): Promise<void> {
  await until("the runner is heard", async () => Date.parse((await listed())?.heard_at ?? "1970") > since);
}

async function summon(title: string): Promise<{ issue: Thread; cellId: string }> {
  const issue = await stage.openIssue(title);
  await stage.type(stage.dev, issue, "/lazarus summon waits");
  await stage.card(issue, /waits is working/);
  return { issue, cellId: await stage.cellId(issue) };
}

const artifact = (cellId: string, name: string) => join(runner.missionsDir, cellId, "artifacts", name);

async function goOn({ issue, cellId }: { issue: Thread; cellId: string }): Promise<void> {
  await writeFile(artifact(cellId, "go"), "");
  await stage.card(issue, /\*\*waits is done\*\*[\s\S]*→ draft #\d+/);
  // However often anything was said again: one process, one draft.
  expect(await readFile(artifact(cellId, "starts"), "utf8")).toBe("start\n");
  const drafts = (await stage.server.pullRequests(stage.repo)).filter((one) =>
    one.title.endsWith(`(#${issue.number})`),
  );
  expect(drafts).toHaveLength(1);
}

describe("a run goes on to its draft, in one process,", needs("redis-server"), () => {
  it("when its runner is killed and started again", async () => {
    const cell = await summon("The runner is killed");
    await runner.end("SIGKILL");
    await stage.card(cell.issue, /Its runner r1 has not been heard since/);
    await runner.start();
    await heard();
    await stage.card(cell.issue, /^(?![\s\S]*has not been heard)/);
    await goOn(cell);
  });

  it("when it ends while its runner is away", async () => {
    const cell = await summon("It ends alone");
    await runner.end("SIGKILL");
    await writeFile(artifact(cell.cellId, "go"), "");
    await until("the agent has ended", () =>
      existsSync(join(runner.missionsDir, cell.cellId, "state", "exit.json")),
    );
    await runner.start();
    await goOn(cell);
  });

  it("when control is killed, and started again", async () => {
    const cell = await summon("Control is killed");
    await stage.lazarus.end("SIGKILL");
    await stage.lazarus.serve();
    await heard();
    await goOn(cell);
  });

  it("when control is killed while work is said to be done", async () => {
    const cell = await summon("Control is killed at the end");
    await stage.lazarus.end("SIGKILL");
    await writeFile(artifact(cell.cellId, "go"), "");
    await until("the agent has ended", () =>
      existsSync(join(runner.missionsDir, cell.cellId, "state", "exit.json")),
    );
    await stage.lazarus.serve();
    await goOn(cell);
  });

  it("when Redis is emptied", async () => {
    const cell = await summon("Redis is emptied");
    await redis.ask("FLUSHALL");
    await goOn(cell);
  });

  it("when Redis is killed, and comes back empty", async () => {
    const cell = await summon("Redis is killed");
    await redis.kill();
    await writeFile(artifact(cell.cellId, "go"), "");
    await until("readyz says it", async () =>
      (await (await fetch(`${stage.lazarus.url}/readyz`)).text()).includes("Redis at"),
    );
    await redis.begin();
    await goOn(cell);
    await until(
      "readyz is well again",
      async () => (await fetch(`${stage.lazarus.url}/readyz`)).status === 200,
    );
  });

  it("when Redis stands still for some seconds", async () => {
    const cell = await summon("Redis stands still");
    await redis.ask("CLIENT PAUSE 4000 ALL");
    await goOn(cell);
  });
});

describe("what people and operators do", needs("redis-server"), () => {
  it("a stop waits for a runner that is away, and then holds", async () => {
    const cell = await summon("Stopped while away");
    await runner.end("SIGKILL");
    await stage.type(stage.dev, cell.issue, "/lazarus stop");
    await runner.start();
    await stage.card(cell.issue, /stopped by dev/);
    expect(existsSync(artifact(cell.cellId, "go"))).toBe(false);
    expect(await readFile(artifact(cell.cellId, "starts"), "utf8")).toBe("start\n");
  });

  it("a second process on the same data is refused, and one with its key elsewhere is named", async () => {
    const twin = await RunnerProcess.make({ redisUrl: redis.url, join: line, agents: { waits: WAITS } });
    const same = await RunnerProcess.make({
      redisUrl: redis.url,
      join: line,
      agents: {},
      more: { data: join(runner.dir, "data") },
    });
    try {
      await same.start();
      expect([same.exitCode, same.log]).toEqual([2, expect.stringMatching(/is this runner started twice\?/)]);
      await twin.start();
      await until(
        "both are named",
        async () => (await listed())?.note.includes("two processes say that they are this runner") === true,
      );
    } finally {
      await same.remove();
      await twin.remove();
    }
    await runner.end();
    await runner.start();
    await heard();
  });

  it("a drained runner gets nothing new, and the card says why", async () => {
    await stage.lazarus.cli("runner", "drain", "r1");
    const issue = await stage.openIssue("Nowhere to go");
    await stage.type(stage.dev, issue, "/lazarus summon waits");
    await stage.card(issue, /r1: it is being drained/);
    await stage.lazarus.cli("runner", "undrain", "r1");
    await stage.card(issue, /waits is working/);
    await goOn({ issue, cellId: await stage.cellId(issue) });
  });

  it("a runner's file with a secret of the forge in it is refused, in words", async () => {
    const bad = await RunnerProcess.make({
      redisUrl: redis.url,
      join: line,
      agents: {},
      more: { forge: { token: "a-token-of-the-bot" } },
    });
    await bad.start();
    expect([bad.exitCode, bad.log]).toEqual([
      2,
      expect.stringMatching(/forge\.token: must not be on a runner/),
    ]);
    await bad.remove();
  });

  it("a rotated key is another, and the one before holds for a while", async () => {
    const { stdout } = await stage.lazarus.cli("runner", "rotate", "r1", "--json");
    await heard();
    await runner.end();
    await writeFile(join(runner.dir, "join"), (JSON.parse(stdout) as { join: string }).join, { mode: 0o600 });
    await runner.start();
    await heard();
  });

  it("a forgotten runner is heard no more; its cells are lost, and what it pushed stays", async () => {
    const cell = await summon("Given up");
    const refused = await stage.lazarus.cli("runner", "forget", "r1");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringMatching(/would be given up/)]);
    expect((await stage.lazarus.cli("runner", "forget", "r1", "--yes")).code).toBe(0);
    await stage.card(cell.issue, /[Ii]ts runner r1 was given up/);
    expect(await stage.status(cell.cellId)).toMatchObject({ state: "archived", outcome: "lost" });
    expect(await listed()).toBeUndefined();
  });
});
