import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

/** What people did, found without a single delivery. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ hook: false, poll: "1s", serve: false });
});

afterAll(() => stage?.strike());

/** A cell of `allegro` whose draft is there. */
async function drafted(title: string): Promise<{ issue: Thread; cellId: string; pull: number }> {
  const issue = await stage.openIssue(title);
  await stage.type(stage.dev, issue, "/lazarus summon allegro");
  const card = await stage.card(issue, /→ draft #\d+/);
  const pull = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  return { issue, pull, cellId: await stage.cellId(issue) };
}

/** Has Lazarus away while something is done. */
async function whileDown(act: () => Promise<void>): Promise<void> {
  await stage.lazarus.end();
  await act();
  await stage.lazarus.serve();
}

const undraft = async (number: number) => {
  const { title } = await stage.server.pullRequest(stage.repo, number);
  const path = `/repos/${stage.repo}/pulls/${number}`;
  await stage.server.api(stage.dev, "PATCH", path, { title: title.replace("WIP: ", "") });
};

describe("a Lazarus that nothing is delivered to", () => {
  it("runs nothing that was typed before its first start", async () => {
    const issue = await stage.openIssue("Old words");
    await stage.type(stage.dev, issue, "/lazarus summon lazy");
    await seen("the second passes", () => String(Math.floor(Date.now() / 1000)), pastSecond());
    await stage.lazarus.serve();
    await stage.type(stage.dev, issue, "/lazarus help");
    await stage.reply(issue, "What you can type");
    expect(await stage.cards(issue)).toEqual([]);
  });

  it("goes from summon to draft to close by polling alone", async () => {
    const { issue, cellId } = await drafted("By polling");
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "**closed by lead**");
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "done" });
  });

  it("serves a repository from its first minute", async () => {
    const repo = await stage.createRepository("acme/young", { hook: null });
    const issue = await stage.openIssue("Young", { repo });
    await stage.type(stage.dev, issue, "/lazarus summon lazy");
    await stage.card(issue, "lazy changed nothing");
  });

  it("runs what was typed while it was down once, in its order, and not what was edited or deleted", async () => {
    const first = await stage.openIssue("While it is down");
    const second = await stage.openIssue("Too");
    await whileDown(async () => {
      await stage.type(stage.dev, first, "/lazarus summon lazy");
      const edited = await stage.type(stage.dev, second, "/lazarus help");
      const deleted = await stage.type(stage.dev, second, "/lazarus help");
      await seen("the second passes", () => String(Math.floor(Date.now() / 1000)), pastSecond());
      await stage.server.editComment(stage.dev, stage.repo, { id: edited, body: "/lazarus summon lazy" });
      await stage.server.deleteComment(stage.dev, stage.repo, deleted);
      await stage.type(stage.reader, second, "/lazarus status");
    });
    await stage.card(first, "lazy changed nothing");
    await stage.reply(second, /no cell/i);
    await stage.lazarus.end();
    await stage.lazarus.serve();
    const asked = await stage.type(stage.reader, second, "/lazarus status");
    await stage.reacted(second, asked, "confused");
    expect([(await stage.cards(first)).length, (await stage.cards(second)).length]).toEqual([1, 0]);
    expect(await stage.replies(second)).toHaveLength(2);
  });

  it("reads reviews, and comments by API that fire nothing, on pull requests", async () => {
    const { pull } = await drafted("Reviewed");
    const at = { repo: stage.repo, number: pull };
    await whileDown(async () => {
      await stage.server.review(stage.dev, stage.repo, {
        number: pull,
        event: "COMMENT",
        body: "/lazarus help",
      });
      await stage.server.api(stage.dev, "POST", `/repos/${stage.repo}/issues/${pull}/comments`, {
        body: "/lazarus help",
      });
    });
    await stage.reply(at, "What you can type", 2);
  });
});

describe("what people do without typing, while Lazarus is down", () => {
  it("merging a draft closes its cell as merged; a branch that is gone stays gone", async () => {
    const { issue, cellId, pull } = await drafted("Merged");
    const { head } = await stage.server.pullRequest(stage.repo, pull);
    await whileDown(async () => {
      await undraft(pull);
      await stage.server.mergePullRequest(stage.dev, stage.repo, pull);
      await stage.server.api(
        stage.dev,
        "DELETE",
        `/repos/${stage.repo}/branches/${encodeURIComponent(head.ref)}`,
      );
    });
    await stage.card(issue, `**closed by dev**: merged as #${pull}, archived`);
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "merged" });
    expect(await stage.reply(issue, `is closed by dev: merged as #${pull}`)).toContain("@dev");
    expect(await stage.server.branch(stage.repo, head.ref)).toBe(null);
  });

  it("closing a draft closes its cell as rejected, whoever does it", async () => {
    const { issue, cellId, pull } = await drafted("Rejected");
    await whileDown(() => stage.server.closeIssue(stage.dev, stage.repo, pull));
    await stage.card(issue, `**closed by dev**: #${pull} was not merged, archived`);
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "rejected" });
  });

  it("closing the mission's issue is a close where a director does it, and else nothing", async () => {
    const { issue, cellId } = await drafted("Its issue is closed");
    await whileDown(() => stage.server.closeIssue(stage.dev, stage.repo, issue.number));
    await stage.type(stage.dev, issue, "/lazarus why");
    await stage.reply(issue, "is idle since");
    await stage.server.api(stage.dev, "PATCH", `/repos/${stage.repo}/issues/${issue.number}`, {
      state: "open",
    });
    await whileDown(() => stage.server.closeIssue(stage.lead, stage.repo, issue.number));
    await stage.card(issue, "**closed by lead**: published as");
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "done" });
  });

  it("a director's approval closes the cell, and the draft is none any more", async () => {
    const { issue, cellId, pull } = await drafted("Approved");
    await whileDown(async () => {
      await stage.server.review(stage.dev, stage.repo, { number: pull, event: "APPROVED", body: "" });
      await stage.server.review(stage.lead, stage.repo, { number: pull, event: "APPROVED", body: "good" });
    });
    await stage.card(issue, `**closed by lead**: published as #${pull}`);
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "done" });
    const look = async () => String((await stage.server.pullRequest(stage.repo, pull)).isDraft);
    await seen(`#${pull} is no draft`, look, "false");
  });
});

/** True from the second after the one in which it was made. */
function pastSecond(): (text: string) => boolean {
  const now = Math.floor(Date.now() / 1000);
  return (text) => Number(text) > now;
}
