import { afterAll, beforeAll, expect, it } from "vitest";
import { Stage, seen, type Thread } from "./stage.ts";

const AGENTS = {
  alpha: `set -eu
cat > "$LAZARUS_ARTIFACTS/asked-$LAZARUS_TURN"
echo "$LAZARUS_TURN" > work.txt; git add -A; git commit --quiet -m "turn $LAZARUS_TURN"`,
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: AGENTS, limits: { grace: "2s" } });
});
afterAll(() => stage?.strike());

/** A cell that is idle, with what its agent made in a draft. */
async function cellOn(title: string): Promise<{ issue: Thread; cellId: string; short: string }> {
  const issue = await stage.openIssue(title);
  await stage.type(stage.dev, issue, "/lazarus summon alpha");
  await stage.card(issue, /alpha is done.*→ draft #\d+/);
  const cellId = await stage.cellId(issue);
  return { issue, cellId, short: cellId.slice(0, 8) };
}

/** Types a command that is done, without a word of the bot's. */
async function done(as: Stage["dev"], at: Thread, line: string): Promise<void> {
  expect(await stage.reacted(at, await stage.type(as, at, line), "rocket")).toEqual(["eyes", "rocket"]);
}

it("lets a reader tell the agent something for a minute, and no longer", async () => {
  const { issue, cellId, short } = await cellOn("A task with a guest");
  await stage.type(stage.reader, issue, "/lazarus tell use numbers");
  expect(await stage.reply(issue, "`tell` needs write")).toContain("reader has read permission");
  await done(stage.lead, issue, `/lazarus invite ${short} @${stage.reader.login} executor --for 1m`);
  await stage.card(issue, /Invited: reader \(executor until 20\d\d-/);
  const { members } = await stage.status(cellId);
  expect(members).toEqual([
    { name: "alpha", kind: "bot", role: "executor" },
    { name: "reader", kind: "user", role: "executor", until: expect.stringMatching(/^20.*Z$/) },
  ]);
  const mission = JSON.parse(await stage.lazarus.readCell(cellId, "meta/mission.json")) as object;
  expect(mission).toMatchObject({ members });
  await done(stage.reader, issue, "/lazarus tell use numbers");
  await stage.card(issue, /alpha is done.*: 2 commits/);
  expect(await stage.lazarus.readCell(cellId, "artifacts/asked-2")).toContain("## What reader tells you");
  // The card follows at the next look at the time.
  const cards = async () => (await stage.cards(issue)).at(-1)?.body ?? "";
  await seen("the end of an invitation", cards, (text) => !text.includes("Invited: "));
  await stage.type(stage.reader, issue, "/lazarus tell use words");
  expect(await stage.reply(issue, "`tell` needs write", 2)).toContain("reader has read permission");
});

it("lets a director by invitation close, and neither merge nor invite directors", async () => {
  const { issue, short } = await cellOn("A task with a guest who directs");
  await done(stage.lead, issue, `/lazarus invite ${short} @${stage.reader.login} director`);
  await stage.type(stage.reader, issue, `/lazarus close ${short} --merge`);
  await stage.reply(issue, "`close --merge` was not done: you direct cell");
  await stage.type(stage.reader, issue, `/lazarus invite ${short} @${stage.dev.login} director`);
  await stage.reply(issue, "`invite @dev director` was not done: you direct cell", 2);
  await done(stage.reader, issue, `/lazarus close ${short}`);
  await stage.card(issue, "closed by reader");
});

it("refuses whom it cannot invite", async () => {
  const { issue, short } = await cellOn("A task with wrong guests");
  let count = 0;
  const refused = async (words: string, said: string) => {
    const id = await stage.type(stage.lead, issue, `/lazarus invite ${short} ${words}`);
    expect(await stage.reply(issue, said, ++count)).toContain(said);
    expect(await stage.reacted(issue, id, "confused")).toEqual(["confused", "eyes"]);
  };
  await refused(`@${stage.bot.login}`, "That is my own account");
  await refused(`@${stage.lead.login}`, "You direct cell");
  await refused("@nobody-of-that-name", "There is no user `nobody-of-that-name` that I can see.");
  await refused("@acme/leads", "is no person: name each one by themselves.");
  await refused("@a@b", "is not a login");
  await refused("@reader owner", "There is no role `owner`.");
  await refused("@reader --for 0s", "takes a duration from 1m to 90d");
});
