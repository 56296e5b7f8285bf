import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  // As servers of late 2024 do: a comment by API on a pull request is stored, and answered 500.
  stage = await Stage.set({ standIn: { bugPullRequestComment: true } });
});

afterAll(() => stage?.strike());

const go = (cellId: string) => writeFile(join(stage.lazarus.missionsDir, cellId, "artifacts", "go"), "");

/** A pull request of dev's from a new branch in the same repository. */
async function openPull(branch: string): Promise<Thread> {
  const { server, dev, repo } = stage;
  await server.commitFile(dev, repo, { branch, path: `${branch}.txt`, text: `${branch}\n` });
  const wanted = { head: branch, base: "main", title: `Add ${branch}`, body: "Please review." };
  return { repo, number: await server.openPullRequest(dev, repo, wanted) };
}

describe("a pull request as target", () => {
  it("gets the commits on its own branch, and one card though the server answers 500", async () => {
    const pull = await openPull("feature");
    const before = await stage.server.branch(stage.repo, "feature");
    const comment = await stage.type(stage.dev, pull, "/lazarus summon halfway");
    await stage.card(pull, /halfway stopped.*1 commit, 1 file, \+1 −0 → `feature`/);
    expect(await stage.reacted(pull, comment, "rocket")).toEqual(["eyes", "rocket"]);
    const shown = await stage.server.pullRequest(stage.repo, pull.number);
    expect(shown.head.sha).not.toBe(before);
    // Some servers move the head first, and what they show a moment later.
    await seen("its diff", () => stage.server.diff(stage.repo, pull.number), /\+half/);
    expect((await stage.cards(pull)).length).toBe(1);
    expect((await stage.server.pullRequests(stage.repo)).length).toBe(1);
    const cellId = await stage.cellId(pull);
    expect(await stage.lazarus.readCell(cellId, "worktree/feature.txt")).toBe("feature\n");
    expect(await stage.status(cellId)).toMatchObject({
      target: `${stage.repo}#${pull.number}`,
      branch: "feature",
    });
  });

  it("keeps what people pushed meanwhile: the agent's goes beside it, and the card says so", async () => {
    const pull = await openPull("busy");
    await stage.type(stage.dev, pull, "/lazarus summon patient");
    await stage.card(pull, "patient is working");
    const cellId = await stage.cellId(pull);
    await stage.server.commitFile(stage.dev, stage.repo, {
      branch: "busy",
      path: "mine.txt",
      text: "dev's\n",
    });
    const devs = await stage.server.branch(stage.repo, "busy");
    await go(cellId);
    const card = await stage.card(pull, /patient is done.*→ draft #\d+/);
    expect(card).toContain("omebody pushed to busy meanwhile: this went to busy-2");
    expect(await stage.server.branch(stage.repo, "busy")).toBe(devs);
    const draft = (await stage.server.pullRequests(stage.repo)).find((one) => one.head.ref === "busy-2");
    expect(draft).toMatchObject({ base: { ref: "busy" }, isDraft: true });
    expect(await stage.server.diff(stage.repo, draft?.number ?? 0)).toContain("+patience");
    expect((await stage.cards(pull)).length).toBe(1);
  });

  it("takes commands from a review's body, with the reviewer's rights", async () => {
    const pull = await openPull("reviewed");
    await stage.server.review(stage.reader, stage.repo, {
      number: pull.number,
      event: "COMMENT",
      body: "/lazarus summon lazy",
    });
    await stage.reply(pull, "reader has read permission");
    await stage.server.review(stage.lead, stage.repo, {
      number: pull.number,
      event: "COMMENT",
      body: "Looks good so far.\n\n/lazarus summon lazy",
    });
    await stage.card(pull, "lazy changed nothing");
    expect((await stage.cards(pull)).length).toBe(1);
    expect((await stage.replies(pull)).length).toBe(1);
  });

  it("starts from its head alone: another base is refused", async () => {
    const pull = await openPull("based");
    await stage.type(stage.dev, pull, "/lazarus summon lazy --base main");
    await stage.reply(pull, "A cell on a pull request starts from its head: leave `--base` out.");
    expect(await stage.cards(pull)).toEqual([]);
  });
});

describe("another repository as target", () => {
  it("bears the card itself, and the thread where it was typed is told", async () => {
    const other = await stage.createRepository("acme/web");
    const target = await stage.openIssue("Over there", { repo: other });
    const here = await stage.openIssue("Over here");
    await stage.type(stage.dev, here, `/lazarus summon allegro ${other}#${target.number}`);
    await stage.reply(here, /allegro works on acme\/web\\?#1: cell `[0-9a-f]{8}`, its card is there\./);
    await stage.card(target, /allegro is done.*→ draft #\d+/);
    expect(await stage.cards(here)).toEqual([]);
    expect(await stage.server.pullRequests(other)).toMatchObject([
      { title: `WIP: Over there (#${target.number})` },
    ]);
  });

  it("gets an issue of its own where no number was given, once", async () => {
    const other = await stage.createRepository("acme/tool");
    const here = await stage.openIssue("Let somebody look at the tool");
    await stage.type(stage.dev, here, `/lazarus summon lazy ${other} -- look at the tool\nand tell me`);
    await stage.reply(here, /lazy works on acme\/tool\\?#1/);
    const issue = { repo: other, number: 1 };
    await stage.card(issue, "lazy changed nothing");
    const issues = (await stage.server.api(stage.dev, "GET", `/repos/${other}/issues?state=all`)).json;
    expect(issues).toMatchObject([{ title: "look at the tool", user: { login: "lazarus" } }]);
    const brief = await stage.lazarus.readCell(await stage.cellId(issue), "config/brief.md");
    expect(brief).toContain("and tell me");
  });

  it("may be private where all who can read the thread may read it", async () => {
    const thread = await stage.createRepository("acme/inner", { private: true });
    const vault = await stage.createRepository("acme/vault", { private: true });
    const target = await stage.openIssue("In the vault", { repo: vault });
    const here = await stage.openIssue("Among us", { repo: thread });
    await stage.type(stage.dev, here, `/lazarus summon lazy ${vault}#${target.number}`);
    await stage.card(target, "lazy changed nothing");
    await stage.server.addCollaborator(thread, stage.reader.login, "read");
    await stage.type(stage.dev, here, `/lazarus summon lazy ${vault}#${target.number}`);
    await seen(
      "the refusal",
      async () => (await stage.replies(here)).join("\n"),
      "acme/vault is private, and not everybody",
    );
    expect((await stage.cards(target)).length).toBe(1);
  });
});
