import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGENTS } from "./agents.ts";
import { Lazarus } from "./lazarus.ts";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;
let lazarus: Lazarus;

beforeAll(async () => {
  stage = await Stage.set({ serve: false });
  lazarus = stage.lazarus;
});

afterAll(() => stage?.strike());

const artifact = (cellId: string, name: string) => join(lazarus.missionsDir, cellId, "artifacts", name);
const go = (cellId: string) => writeFile(artifact(cellId, "go"), "");
const target = (at: Thread) => `${at.repo}#${at.number}`;
const json = async (...words: string[]) => {
  const { code, stdout } = await lazarus.cli("--json", ...words);
  return { code, data: JSON.parse(stdout) };
};

describe("without a server", () => {
  let issue: Thread;
  let cellId: string;

  beforeAll(async () => {
    issue = await stage.openIssue("Typed in a terminal");
  });

  it("summons and stays until it is published", async () => {
    const { code, stdout } = await lazarus.cli("summon", "allegro", target(issue), "--", "and", "a test");
    expect(code).toBe(0);
    const card = await stage.card(issue, /allegro is done.*→ draft #\d+/);
    cellId = await stage.cellId(issue);
    const pull = /→ draft (#\d+)/.exec(card)?.[1];
    const [said, head, row] = stdout.split("\n");
    expect(said).toBe(`cell ${cellId.slice(0, 8)}: allegro starts on ${target(issue)}`);
    expect(head).toMatch(/^CELL +STATE +AGENT +TARGET +HEALTH +AGE +RESULT$/);
    expect(row).toMatch(
      new RegExp(`^${cellId.slice(0, 8)} +idle +allegro +${target(issue)} +- +\\d+s +draft ${pull}$`),
    );
    expect(await lazarus.readCell(cellId, "config/brief.md")).toContain("and a test");
    expect((await stage.server.pullRequests(stage.repo)).length).toBe(1);
  });

  it("tells how cells are, in tables and as JSON", async () => {
    const status = await json("status");
    expect(status).toMatchObject({
      code: 0,
      data: {
        cells: [
          { id: cellId, state: "idle", health: null, reason: null, target: target(issue), outcome: "done" },
        ],
      },
    });
    expect(status.data.cells[0].members).toEqual([
      expect.objectContaining({ name: "allegro", role: "executor" }),
    ]);
    expect(typeof status.data.cells[0].pull_request).toBe("number");
    const one = await lazarus.cli("status", cellId.slice(0, 4));
    expect(one.stdout).toContain(`id       ${cellId}`);
    const why = await lazarus.cli("why", cellId);
    expect([why.code, why.stdout]).toEqual([0, expect.stringContaining("Run 1 of allegro: exit 0")]);
    const logs = await lazarus.cli("logs", cellId, "--tail", "1");
    expect([logs.code, logs.stdout]).toEqual([0, "allegro is ready\n"]);
    expect((await json("logs", cellId)).data.log).toContain("allegro is ready");
    const jobs = await lazarus.cli("jobs");
    expect([jobs.code, jobs.stdout]).toEqual([0, expect.stringMatching(/^JOB +QUEUE +KIND +STATE/)]);
    expect((await json("jobs")).data).toEqual({ jobs: [] });
  });

  it("exits 1 where the agent failed, and says so", async () => {
    const failed = await stage.openIssue("It will fail");
    const { code, stderr } = await lazarus.cli("summon", "broken", target(failed));
    expect([code, stderr]).toEqual([1, expect.stringContaining("broken")]);
    await stage.card(failed, "broken stopped");
  });

  it.each([
    [2, "usage", ["summon", "allegro", "acme/app#1", "--ttl", "bad"], "--ttl takes a duration"],
    [2, "usage", ["status", "--colour"], ""],
    [4, "not-found", ["extend", "beef1234", "4h"], "beef1234"],
    [2, "usage", ["extend", "beef1234", "soon"], "takes a duration"],
    [4, "not-found", ["summon", "alegro", "acme/app#1"], "No agent alegro here. Did you mean allegro?"],
    [4, "not-found", ["stop", "00000000"], "There is no cell 00000000 here that you may see."],
    [4, "not-found", ["summon", "allegro", "acme/nothing#1"], "There is no repository acme/nothing"],
  ])("exits %i (%s) for %j", async (code, kind, words, said) => {
    const answer = await lazarus.cli(...words);
    expect([answer.code, answer.stdout]).toEqual([code, ""]);
    expect(answer.stderr).toContain(said);
    if (said === "") return;
    const asJson = await json(...words);
    expect(asJson).toEqual({ code, data: { error: { code: kind, message: expect.stringContaining(said) } } });
  });

  it("refuses what a cell's state does not allow, with 3", async () => {
    const answer = await lazarus.cli("destroy", cellId);
    expect([answer.code, answer.stderr]).toEqual([3, expect.stringContaining("is idle, not archived")]);
  });

  it("exits 5 where the forge cannot be reached", async () => {
    const lost = await Lazarus.make({
      forgeUrl: "http://127.0.0.1:9",
      token: stage.bot.token,
      agents: { lazy: "true" },
    });
    try {
      const answer = await lost.cli("summon", "lazy", "acme/app#1");
      expect([answer.code, answer.stderr]).toEqual([
        5,
        expect.stringMatching(/^lazarus: [\s\S]*cannot be reached/),
      ]);
    } finally {
      await lost.remove();
    }
  });

  it("closes and destroys to the end", async () => {
    const closed = await lazarus.cli("close", cellId);
    expect(closed.code).toBe(0);
    expect(await stage.status(cellId)).toMatchObject({ state: "archived" });
    await stage.card(issue, /\*\*closed by operator \S+\*\*: published as #\d+, archived/);
    expect((await lazarus.cli("destroy", cellId)).code).toBe(0);
    expect((await json("status", "--all")).data.cells.map((one: { id: string }) => one.id)).toContain(cellId);
    await expect(readFile(join(lazarus.missionsDir, cellId, "meta", "mission.json"))).rejects.toMatchObject({
      code: "ENOENT",
    });
  });
});

describe("with a server", () => {
  beforeAll(() => lazarus.serve());

  const started = async (at: Thread) => {
    const { code, data } = await json("summon", "patient", target(at));
    expect(code).toBe(0);
    return String(data.cells[0].id);
  };

  it("returns from a summon when the run has started", async () => {
    const issue = await stage.openIssue("Begin");
    const cellId = await started(issue);
    expect(await stage.status(cellId)).toMatchObject({ state: "active", health: "healthy" });
    const following = lazarus.cli("logs", cellId, "-f");
    await go(cellId);
    expect((await following).stdout).toBe("patient waits\n");
    await stage.card(issue, "patient is done");
  });

  it("follows a run to its end where that is wanted, two at a time", async () => {
    const issues = [await stage.openIssue("One"), await stage.openIssue("Two")] as const;
    const answers = await Promise.all(
      issues.map((at) => lazarus.cli("summon", "halfway", target(at), "--wait")),
    );
    for (const [index, at] of issues.entries()) {
      expect(answers[index]?.code).toBe(1);
      expect(answers[index]?.stderr).toContain("draft #");
      await stage.card(at, "→ draft #");
      expect((await stage.cards(at)).length).toBe(1);
    }
  });

  it("refuses a second server on the same data, and one on the same address", async () => {
    const second = await lazarus.cli("serve");
    expect([second.code, second.stderr]).toEqual([
      2,
      expect.stringContaining(
        `lazarus: using ${lazarus.dataDir}: another lazarus is at work on it; is another serve running?\n`,
      ),
    ]);
    const other = await Lazarus.make({
      forgeUrl: stage.server.url,
      token: stage.bot.token,
      agents: AGENTS,
      more: { server: { listen: lazarus.listen } },
    });
    try {
      const third = await other.cli("serve");
      expect([third.code, third.stderr]).toEqual([
        2,
        expect.stringContaining(
          `lazarus: cannot listen on ${lazarus.listen}: in use; is another serve running? (server.listen in lazarus.yaml)\n`,
        ),
      ]);
    } finally {
      await other.remove();
    }
  });

  it.each([
    ["SIGTERM", 0],
    ["SIGKILL", null],
  ] as const)("leaves agents at work on %s, and finds them again", async (signal, code) => {
    const issue = await stage.openIssue(`Survive ${signal}`);
    const cellId = await started(issue);
    const pid = Number(
      await seen("the agent's pid", () => readFile(artifact(cellId, "pid"), "utf8").catch(() => ""), /\d\n/),
    );
    expect(await lazarus.end(signal)).toBe(code);
    expect(process.kill(pid, 0)).toBe(true);
    await lazarus.serve();
    expect(lazarus.readyLine).toMatch(/^lazarus listening on http:\/\/\S+, 7 agents, 1 cell adopted\n$/);
    await go(cellId);
    await stage.card(issue, /patient is done.*→ draft #\d+/);
    expect((await stage.cards(issue)).length).toBe(1);
  });

  it("notices after a restart what ended while nobody looked", async () => {
    const issue = await stage.openIssue("Nobody looked");
    const cellId = await started(issue);
    await lazarus.end("SIGKILL");
    await go(cellId);
    await seen(
      "the agent's end",
      () => lazarus.readCell(cellId, "state/exit.json").catch(() => ""),
      '"code": 0',
    );
    await lazarus.serve();
    await stage.card(issue, /patient is done.*→ draft #\d+/);
    expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "done" });
  });
});
