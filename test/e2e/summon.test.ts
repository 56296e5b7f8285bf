import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { IS_ROOT } from "../fakes/uids.ts";
import { runGit, withClone } from "./git-client.ts";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
});

afterAll(() => stage?.strike());

describe("a comment becomes a cell, a cell becomes a pull request", () => {
  let issue: Thread;
  let commentId: number;
  let cellId: string;
  let pull: number;

  beforeAll(async () => {
    issue = await stage.openIssue("Make the parser accept empty input", { body: "It throws." });
    commentId = await stage.type(stage.dev, issue, "/lazarus summon allegro -- and add a test");
    const card = await stage.card(issue, /→ draft #\d+/);
    pull = Number(/→ draft #(\d+)/.exec(card)?.[1]);
    cellId = await stage.cellId(issue);
    await stage.reviewAsked(pull, "dev");
  });

  it("answers with reactions and one card, and nothing else", async () => {
    expect(await stage.reacted(issue, commentId, "rocket")).toEqual(["eyes", "rocket"]);
    const comments = await stage.comments(issue);
    expect(comments.map((one) => one.author)).toEqual(["dev", "lazarus"]);
  });

  it("says on the card how it is, what came of it, what one may do and what happened", async () => {
    const [card = ""] = (await stage.cards(issue)).map((one) => one.body);
    expect(card).toMatch(
      new RegExp(
        `\\*\\*allegro is done\\*\\*: 3 commits, 2 files, \\+3 −0 → draft #${pull} · cell \`${cellId.slice(0, 8)}\` · took \\d+ s`,
      ),
    );
    expect(card).toContain("> Make the parser accept empty input");
    expect(card).toContain(`Review #${pull}`);
    expect(card).toMatch(/<details><summary>What you can do<\/summary>[\s\S]*`\/lazarus tell [0-9a-f]{8} …`/);
    expect(card).toMatch(
      /\| summoned by dev \| dev \|[\s\S]*working: allegro, from `main` at `[0-9a-f]{7}`[\s\S]*exit 0/,
    );
  });

  it("opens a draft that quotes the report as the agent's words and defuses it", async () => {
    const draft = await stage.server.pullRequest(stage.repo, pull);
    expect(draft).toMatchObject({
      title: `WIP: Make the parser accept empty input (#${issue.number})`,
      author: "lazarus",
      isOpen: true,
      isDraft: true,
      base: { ref: "main" },
      head: { ref: `lazarus/${cellId.slice(0, 8)}` },
      requestedReviewers: ["dev"],
    });
    expect(draft.body).toContain(`For #${issue.number}, asked by dev:`);
    expect(draft.body).toMatch(/What allegro reports[\s\S]*the agent's words[\s\S]*\n> It works now\./);
    expect(draft.body).toMatch(
      /uncommitted[^\n]*\n.*\| parser: say more \|[^\n]*\n.*\| parser: accept empty input \|/,
    );
    expect(draft.body).toContain("The last commit holds what was left uncommitted.");
    expect(draft.body).not.toMatch(/(?<!\\)@dev\b/);
    expect(draft.body).not.toMatch(/fixes #1\b/i);
  });

  it("pushes the agent's commits under its name and an address of nobody, leftovers last", async () => {
    await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
      const branch = `origin/lazarus/${cellId.slice(0, 8)}`;
      const log = await runGit(dir, null, [
        "log",
        "--reverse",
        "--format=%an|%ae|%cn|%s",
        `origin/main..${branch}`,
      ]);
      const commits = log.stdout
        .trim()
        .split("\n")
        .map((line) => line.split("|"));
      expect(commits.map((one) => one[3])).toEqual([
        "parser: accept empty input",
        "parser: say more",
        expect.stringContaining("uncommitted"),
      ]);
      for (const [author, address, committer] of commits) {
        expect([author, committer]).toEqual(["allegro", "allegro"]);
        expect(address).toMatch(/\.invalid$/);
      }
      const last = await runGit(dir, null, ["show", "--name-only", "--format=", branch]);
      expect(last.stdout.trim()).toMatch(/^left-\d+\.txt$/);
    });
    expect(await stage.server.diff(stage.repo, pull)).toContain("+allegro was here");
  });

  it("makes the directory of the contract, for its owner alone", async () => {
    const dir = join(stage.lazarus.missionsDir, cellId);
    const parts = ["meta", "config", "state", "logs", "artifacts", "worktree", "home"];
    for (const part of ["", ...parts]) {
      const found = await stat(join(dir, part));
      // As root the cell's own user passes through to what is its own.
      const mode = IS_ROOT && (part === "" || part === "config") ? "710" : "700";
      expect([part, found.isDirectory(), (found.mode & 0o7777).toString(8)]).toEqual([part, true, mode]);
      const isItsOwn = IS_ROOT && ["artifacts", "worktree", "home"].includes(part);
      expect([part, found.uid !== process.geteuid?.()]).toEqual([part, isItsOwn]);
    }
    expect((await stat(stage.lazarus.missionsDir)).mode & 0o7777).toBe(0o711);
    for (const file of [
      "meta/mission.json",
      "config/cell.json",
      "state/heartbeat.json",
      "state/run.json",
      "state/exit.json",
    ]) {
      const text = await stage.lazarus.readCell(cellId, file);
      expect(text, file).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
      expect((await stat(join(dir, file))).mode & 0o077, file).toBe(0);
    }
    expect((await readdir(join(dir, "artifacts"))).sort()).toEqual([
      "answers",
      "brief-seen.md",
      "checkpoints",
      "env.txt",
      "handoff",
      "reports",
    ]);
    expect(await stage.lazarus.readCell(cellId, "logs/allegro-1.log")).toContain("allegro is ready");
    for (const line of (await stage.lazarus.readCell(cellId, "logs/daemon.log")).trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({ at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/) });
    }
  });

  it("tells in the directory what the cell is and how it is", async () => {
    await seen(
      "the status on disk",
      () => stage.lazarus.readCell(cellId, "meta/mission.json"),
      '"status": "idle"',
    );
    const mission = JSON.parse(await stage.lazarus.readCell(cellId, "meta/mission.json"));
    expect(mission).toMatchObject({
      mission_id: cellId,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      status: "idle",
      title: "Make the parser accept empty input",
      target: `${stage.repo}#${issue.number}`,
      issue_url: `${stage.server.url}/${stage.repo}/issues/${issue.number}`,
      requested_by: "dev",
      members: [{ name: "allegro", role: "executor" }],
    });
    expect(mission.history.map((row: { to: string }) => row.to)).toEqual(["proposed", "active", "idle"]);
    const wiring = JSON.parse(await stage.lazarus.readCell(cellId, "config/cell.json"));
    const dir = join(stage.lazarus.missionsDir, cellId);
    expect(wiring).toMatchObject({
      worktree: join(dir, "worktree"),
      artifacts: join(dir, "artifacts"),
      heartbeat: join(dir, "state", "heartbeat.json"),
      logs: join(dir, "logs"),
      backend: "process",
      branch: `lazarus/${cellId.slice(0, 8)}`,
      base_commit: await stage.server.branch(stage.repo, "main"),
    });
  });

  it("gives the agent the pinned brief, byte for byte", async () => {
    const brief = await stage.lazarus.readCell(cellId, "config/brief.md");
    const hash = createHash("sha256").update(brief).digest("hex");
    expect((await stage.status(cellId)).brief_sha256).toBe(hash);
    expect(JSON.parse(await stage.lazarus.readCell(cellId, "meta/mission.json")).brief_sha256).toBe(hash);
    expect(await stage.lazarus.readCell(cellId, "artifacts/brief-seen.md")).toBe(brief);
    expect(brief).toContain("It throws.");
    expect(brief).toContain("and add a test");
  });

  it("gives the agent the environment of the contract and nothing more", async () => {
    const dump = await stage.lazarus.readCell(cellId, "artifacts/env.txt");
    const names = dump
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name ?? "")).sort()).toEqual([
      "GIT_AUTHOR_EMAIL",
      "GIT_AUTHOR_NAME",
      "GIT_COMMITTER_EMAIL",
      "GIT_COMMITTER_NAME",
      "HERMES_HOME",
      "HOME",
      "LANG",
      "LAZARUS_AGENT",
      "LAZARUS_ARTIFACTS",
      "LAZARUS_BRIEF",
      "LAZARUS_CELL",
      "LAZARUS_HANDOFF",
      "LAZARUS_HEARTBEAT_TOKEN",
      "LAZARUS_HEARTBEAT_URL",
      "LAZARUS_MISSION",
      "LAZARUS_ROLE",
      "LAZARUS_TURN",
      "PATH",
      "TERM",
    ]);
    expect(dump).not.toContain(stage.bot.token);
    expect(dump).toContain(`LAZARUS_CELL=${cellId}\n`);
    expect(dump).toContain("LAZARUS_ROLE=executor\n");
    expect(dump).toContain("TERM=dumb\n");
    const home = join(stage.lazarus.missionsDir, cellId, "home", "allegro");
    expect(dump).toContain(`HOME=${home}\n`);
    expect(dump).toContain(`HERMES_HOME=${home}\n`);
  });

  it("goes on in the same cell after a revive, and brings the pull request up to date", async () => {
    const before = await stage.server.pullRequest(stage.repo, pull);
    const asked = await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.card(issue, /6 commits, 3 files/);
    expect(await stage.reacted(issue, asked, "rocket")).toEqual(["eyes", "rocket"]);
    await seen(
      "the draft's text",
      async () => {
        return (await stage.server.pullRequest(stage.repo, pull)).body;
      },
      /(say more[\s\S]*){2}/,
    );
    const after = await stage.server.pullRequest(stage.repo, pull);
    expect(after.head.ref).toBe(before.head.ref);
    expect(after.head.sha).not.toBe(before.head.sha);
    expect(await stage.cellIds(issue)).toEqual([cellId]);
    expect(await stage.lazarus.readCell(cellId, "logs/allegro-2.log")).toContain("allegro is ready");
    expect((await stage.server.pullRequests(stage.repo)).length).toBe(1);
  });
});

describe("what came of it", () => {
  const play = async (agent: string, expected: string | RegExp) => {
    const issue = await stage.openIssue(`A task for ${agent}`);
    await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
    return { issue, card: await stage.card(issue, expected), cellId: await stage.cellId(issue) };
  };
  const pulls = async (issue: Thread) =>
    (await stage.server.pullRequests(stage.repo)).filter((one) => one.title.endsWith(`(#${issue.number})`));

  it("says so and opens nothing when the agent changed nothing", async () => {
    const { issue, card, cellId } = await play("lazy", "**lazy changed nothing**");
    expect(card).not.toContain("draft");
    expect(await stage.status(cellId)).toMatchObject({
      state: "idle",
      outcome: "nothing-changed",
      pull_request: null,
    });
    expect(await stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`)).toBe(null);
    expect(await pulls(issue)).toEqual([]);
  });

  it("shows the end of the log, folded, when the agent failed", async () => {
    const { card, cellId } = await play("broken", /\*\*broken stopped\*\*: exit 3 after \d+ s/);
    expect(card).toMatch(
      /<details><summary>The end of its log<\/summary>\n\n```\nloading the model\nout of luck: @dev\n```\n\n<\/details>/,
    );
    expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "failed" });
  });

  it("brings back what was committed before a failure, and says that it stopped", async () => {
    const { issue, card, cellId } = await play("halfway", /halfway stopped[\s\S]*draft #/);
    expect(card).toMatch(
      /\*\*halfway stopped\*\* \(exit 1 after \d+ s\): 1 commit, 1 file, \+1 −0 → draft #\d+/,
    );
    expect(await pulls(issue)).toMatchObject([{ isDraft: true, isOpen: true }]);
    expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "failed" });
  });

  it("runs from another base, into which its draft merges", async () => {
    await stage.server.commitFile(stage.dev, stage.repo, {
      branch: "release/2",
      path: "two.txt",
      text: "two\n",
    });
    const issue = await stage.openIssue("On another base");
    await stage.type(stage.dev, issue, "/lazarus summon allegro --base release/2");
    await stage.card(issue, /→ draft #\d+/);
    const [draft] = await pulls(issue);
    expect(draft?.base.ref).toBe("release/2");
    const cellId = await stage.cellId(issue);
    expect(await stage.lazarus.readCell(cellId, "worktree/two.txt")).toBe("two\n");
  });
});
