import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage?.strike());

async function drafted(): Promise<{ issue: Thread; draft: Thread; cellId: string }> {
  const issue = await stage.openIssue("Work on it");
  await stage.type(stage.dev, issue, "/lazarus summon allegro");
  const card = await stage.card(issue, /→ draft #\d+/);
  const number = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  return { issue, draft: { repo: stage.repo, number }, cellId: await stage.cellId(issue) };
}
/** Entries that mentions elsewhere left on a thread. */
async function references(at: Thread): Promise<number> {
  const path = `/repos/${at.repo}/issues/${at.number}/timeline`;
  const timeline = (await stage.server.api(stage.bot, "GET", path)).json as { type: string }[] | null;
  return (timeline ?? []).filter((one) => one.type.endsWith("_ref")).length;
}

describe("the draft's thread", () => {
  it("has its cell: what the draft proposes works there, typed in a comment or in a review", async () => {
    const { issue, draft, cellId } = await drafted();
    const proposed = (await stage.server.pullRequest(stage.repo, draft.number)).body;
    expect(proposed).toContain(`\`/lazarus revive ${cellId.slice(0, 8)}\``);
    const before = await references(draft);
    // Its card may say for a moment what was so before.
    const turns = async () => {
      const { state, turns } = (await stage.status(cellId)) as { state: string; turns: { state: string }[] };
      return `${state} after ${turns.filter((turn) => turn.state === "over").length} turns`;
    };
    const asked = await stage.type(stage.dev, draft, "/lazarus revive");
    expect(await stage.reacted(draft, asked, "rocket")).toEqual(["eyes", "rocket"]);
    await seen("the end of the second run", turns, "idle after 2 turns");
    await stage.card(issue, /allegro is done.*→ draft #\d+/);
    const pasted = /`(\/lazarus revive [0-9a-f]{8})`/.exec(proposed)?.[1] ?? "";
    const review = { number: draft.number, event: "COMMENT", body: `Once more.\n\n${pasted}` } as const;
    await stage.server.review(stage.dev, stage.repo, review);
    await seen("the end of the third run", turns, "idle after 3 turns");
    await stage.card(issue, /allegro is done.*→ draft #\d+/);
    // The card was edited at least eight times since.
    expect(await references(draft)).toBe(before);
    await stage.server.review(stage.lead, stage.repo, {
      ...{ number: draft.number, event: "COMMENT" },
      body: "/lazarus close",
    });
    await stage.card(issue, /\*\*closed by lead\*\*/);
    expect(await stage.replies(draft)).toEqual([]);
  }, 180_000);
});

describe("who does not type it as it is read", () => {
  it("is told once, and nothing is run", async () => {
    const issue = await stage.openIssue("Asked in its text", { body: "/lazarus summon allegro\n" });
    await stage.reply(issue, "Typed in a comment, it is: `/lazarus summon allegro`");
    const other = await stage.openIssue("Asked by a mention");
    await stage.type(stage.dev, other, "@lazarus summon allegro");
    await stage.reply(other, "`/lazarus summon allegro`");
    await stage.type(stage.dev, other, "@lazarus summon allegro\n> @lazarus stop");
    const known = await stage.type(stage.dev, other, "/lazarus help");
    await stage.reacted(other, known, "rocket");
    expect(await stage.replies(other)).toHaveLength(2);
    expect(await stage.cards(issue)).toEqual([]);
  });
});

describe("a pull request from a fork", () => {
  it("gets a draft into its own base, once a director let go what the fork brought", async (context) => {
    // The stand-in has no forks; test/commands/summon.test.ts plays this on it as far as it goes.
    if (stage.server.name === "stand-in") return context.skip("forks, which the stand-in has not");
    const { reader } = stage;
    const api = async (method: string, path: string, body: object) => {
      const answer = await stage.server.api(reader, method, path, body);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer.json as { number: number };
    };
    await api("POST", `/repos/${stage.repo}/forks`, { name: "app" });
    const fork = `${reader.login}/app`;
    await seen("the fork", async () => (await stage.server.branch(fork, "main")) ?? "none", /^[0-9a-f]{40}/);
    const content = Buffer.from("on: push\njobs: {}\n").toString("base64");
    const file = { content, branch: "main", new_branch: "topic-of-the-fork", message: "theirs" };
    await api("POST", `/repos/${fork}/contents/.gitea/workflows/evil.yml`, file);
    const wanted = { head: `${reader.login}:topic-of-the-fork`, base: "main", title: "Theirs", body: "" };
    const { number } = await api("POST", `/repos/${stage.repo}/pulls`, wanted);
    const pull = { repo: stage.repo, number };
    await stage.type(stage.dev, pull, "/lazarus summon allegro");
    const held = await stage.card(pull, "held back");
    expect(held).toContain(`1 commit of ${fork} come with it`);
    expect(held).toContain(".gitea/workflows/evil.yml decides what runs next");
    const cellId = await stage.cellId(pull);
    const pushed = () => stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);
    expect(await pushed()).toBe(null);
    await stage.type(stage.lead, pull, "/lazarus publish");
    await stage.reply(pull, "changes what runs next");
    expect(await pushed()).toBe(null);
    await stage.type(stage.lead, pull, "/lazarus publish --allow-protected");
    const card = await stage.card(pull, /allegro is done.*→ draft #\d+/);
    const draft = await stage.server.pullRequest(stage.repo, Number(/→ draft #(\d+)/.exec(card)?.[1]));
    expect(draft).toMatchObject({ base: { ref: "main" }, isDraft: true });
    expect(draft.body).toContain("lies in a fork");
  }, 120_000);
});

describe("a pull request of the default branch", () => {
  it("never has an agent's work pushed straight to it: it becomes a draft into it", async () => {
    const api = async (method: string, path: string, body: object) => {
      const answer = await stage.server.api(stage.dev, method, path, body);
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
      return answer.json as { number: number };
    };
    const branch = { new_branch_name: "release", old_branch_name: "main" };
    await api("POST", `/repos/${stage.repo}/branches`, branch);
    const content = Buffer.from("new\n").toString("base64");
    await api("POST", `/repos/${stage.repo}/contents/new.txt`, { content, branch: "main", message: "new" });
    const wanted = { head: "main", base: "release", title: "Release", body: "" };
    const { number } = await api("POST", `/repos/${stage.repo}/pulls`, wanted);
    const before = await stage.server.branch(stage.repo, "main");
    const pull = { repo: stage.repo, number };
    await stage.type(stage.dev, pull, "/lazarus summon allegro");
    const card = await stage.card(pull, /allegro is done.*→ draft #\d+/);
    const draft = await stage.server.pullRequest(stage.repo, Number(/→ draft #(\d+)/.exec(card)?.[1]));
    expect(draft).toMatchObject({ base: { ref: "main" }, isDraft: true });
    expect(await stage.server.branch(stage.repo, "main")).toBe(before);
  }, 120_000);
});
