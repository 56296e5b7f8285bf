import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ publish: { prune: true } });
});

afterAll(() => stage?.strike());

async function summon(): Promise<{ issue: Thread; pull: number; branch: string }> {
  const issue = await stage.openIssue("A branch that goes");
  await stage.type(stage.dev, issue, "/lazarus summon allegro");
  const card = await stage.card(issue, /→ draft #\d+/);
  const pull = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  return { issue, pull, branch: (await stage.server.pullRequest(stage.repo, pull)).head.ref };
}

const tipOf = async (branch: string) => (await stage.server.branch(stage.repo, branch)) ?? "gone";
const openJobs = async () => (await stage.lazarus.cli("--json", "jobs")).stdout;
const log = () => stage.lazarus.log;

describe("with publish.prune", () => {
  it("the branch of a closed cell stays while its draft is open, and goes with it", async () => {
    const { issue, pull, branch } = await summon();
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "closed by lead");
    await seen("nothing is left to do", openJobs, (text) => JSON.parse(text).jobs.length === 0);
    expect(await tipOf(branch)).not.toBe("gone");
    await stage.server.closeIssue(stage.lead, stage.repo, pull);
    await seen("the branch", () => tipOf(branch), "gone");
  });

  it("a branch that people pushed to is left to them", async () => {
    const { issue, pull, branch } = await summon();
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "closed by lead");
    await stage.server.commitFile(stage.dev, stage.repo, { branch, path: "ours.txt", text: "ours" });
    const tip = await tipOf(branch);
    await stage.server.closeIssue(stage.lead, stage.repo, pull);
    await seen("the log", log, "branch left");
    expect(await tipOf(branch)).toBe(tip);
  });
});
