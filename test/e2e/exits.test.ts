import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { draftOf, EXIT_AGENTS } from "./exit-agents.ts";
import { Stage, type Thread } from "./stage.ts";

let stage: Stage;

describe("what follows from an exit", () => {
  beforeAll(async () => {
    stage = await Stage.set({ agents: EXIT_AGENTS, limits: { revives: 2 } });
  });
  afterAll(() => stage?.strike());

  async function summon(agent: string): Promise<Thread> {
    const issue = await stage.openIssue(`A task for ${agent}`);
    await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
    return issue;
  }

  it("goes on when the quota resets, and tells nobody", async () => {
    const issue = await summon("limited");
    const card = await stage.card(issue, /limited is done\*\*.*→ draft #\d+/);
    expect((await draftOf(stage, card)).subjects).toEqual([
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
