import { afterAll, beforeAll, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

const AGENTS = {
  works: `set -eu
n=$(cat "$LAZARUS_ARTIFACTS/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "$LAZARUS_ARTIFACTS/n"
echo "$LAZARUS_CELL $n" > "$LAZARUS_CELL.txt"; git add -A; git commit --quiet -m "run $n"`,
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: AGENTS, limits: { grace: "2s", review_wait: "1s" } });
});
afterAll(() => stage?.strike());

async function drafted(): Promise<{ issue: Thread; cellId: string; number: number }> {
  const issue = await stage.openIssue("A task");
  await stage.type(stage.dev, issue, "/lazarus summon works");
  await stage.card(issue, /→ draft #\d+/);
  const cellId = await stage.cellId(issue);
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  return { issue, cellId, number };
}

it("merges what is published, and closes the cell as merged", async () => {
  const { issue, cellId, number } = await drafted();
  await stage.type(stage.lead, issue, "/lazarus close --merge");
  await stage.card(issue, new RegExp(`closed by lead.*merged as #${number}`));
  expect(await stage.server.pullRequest(stage.repo, number)).toMatchObject({
    isMerged: true,
    isDraft: false,
  });
  expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "merged" });
  const merged = await stage.server.api(stage.bot, "GET", `/repos/${stage.repo}/contents/${cellId}.txt`);
  expect(merged.status).toBe(200);
});

it("does neither while somebody still wants changes, nor for somebody who is no director", async () => {
  const { issue, cellId, number } = await drafted();
  await stage.server.review(stage.dev, stage.repo, { number, event: "REQUEST_CHANGES", body: "more" });
  await stage.card(issue, /2 commits/);
  await seen(
    "the answer",
    async () =>
      JSON.stringify(
        (await stage.server.api(stage.bot, "GET", `/repos/${stage.repo}/pulls/${number}/reviews`)).json,
      ),
    "lazarus:answers:",
  );
  await stage.type(stage.lead, issue, "/lazarus close --merge");
  await stage.reply(issue, "was neither merged nor closed: points of reviews are open (/lazarus items)");
  await stage.type(stage.dev, issue, "/lazarus close --merge");
  await stage.reply(issue, "`close` was not done: dev has write permission", 2);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  expect(await stage.server.pullRequest(stage.repo, number)).toMatchObject({
    isMerged: false,
    isDraft: true,
  });
});

it("comes back to idle where the forge says no, with its words, and is a draft again", async () => {
  const { issue, cellId, number } = await drafted();
  // The same file on the branch it is to be merged into: a conflict.
  await stage.server.commitFile(stage.lead, stage.repo, {
    branch: "main",
    path: `${cellId}.txt`,
    text: "other\n",
  });
  await stage.type(stage.lead, issue, "/lazarus close --merge");
  await stage.reply(issue, /was not closed: /);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  expect(await stage.server.pullRequest(stage.repo, number)).toMatchObject({
    isMerged: false,
    isDraft: true,
  });
});
