import { afterAll, beforeAll, expect, it } from "vitest";
import { needs } from "../machine.ts";
import { Stage, seen, type Thread } from "./stage.ts";

const AGENTS = {
  alpha: `set -eu
cat > "$LAZARUS_ARTIFACTS/asked-$LAZARUS_TURN"
echo "$LAZARUS_TURN" > work.txt; git add -A; git commit --quiet -m "turn $LAZARUS_TURN"
echo "by alpha" > "$LAZARUS_HANDOFF"`,
  // Looks at the work, and tries to write wherever it knows that others did.
  kimi: `cat > "$LAZARUS_ARTIFACTS/asked"
real=$(dirname "$(dirname "$LAZARUS_MISSION")")
try() { if "$@" 2>/dev/null; then echo "could: $*"; fi; }
put() { echo spoiled > "$1"; }
{
  echo "It is $LAZARUS_ROLE, the work says $(cat work.txt), the last commit is $(git log -1 --format=%s)."
  try put "$real/worktree/work.txt"
  try put "$real/artifacts/handoff/1-alpha.md"
  try put "$real/artifacts/new"
  try put "$real/artifacts/reports/new.md"
  try git -C "$real/worktree" commit --allow-empty -m spoiled
  try ls "$real/home/alpha"
  try test -n "\${LAZARUS_HANDOFF:-}"
} > "$LAZARUS_ARTIFACTS/reports/found.md"
echo spoiled > work.txt || true
git commit --quiet -am spoiled || true`,
  worker: `set -eu
cat work.txt; echo "worker" > more.txt; git add -A; git commit --quiet -m "by worker"`,
  mute: "echo I say nothing; exit 3",
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
  const refused = async (words: string, said: string | RegExp) => {
    const id = await stage.type(stage.lead, issue, `/lazarus invite ${short} ${words}`);
    await stage.reply(issue, said, ++count);
    expect(await stage.reacted(issue, id, "confused")).toEqual(["confused", "eyes"]);
  };
  await refused(`@${stage.bot.login}`, "That is my own account");
  await refused(`@${stage.lead.login}`, "You direct cell");
  await refused("@nobody-of-that-name", "There is no user `nobody-of-that-name` that I can see.");
  // The forge answers it where it is asked for a user of that name.
  await refused("@acme executor", "`@acme` is no person: name each one by themselves.");
  await refused("@acme/leads", "is no person: name each one by themselves.");
  await refused("@a@b", "is not a login");
  await refused("@reader owner", "There is no role `owner`.");
  await refused("@reader --for 0s", "takes a duration from 1m to 90d");
});

/** What lies below a directory of a cell, with the hash of each file. */
const hashes = (cellId: string, below: string) => stage.lazarus.hashesIn(cellId, below);
const draftOfCell = async (cellId: string): Promise<Thread> => {
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  return { repo: stage.repo, number };
};

it("has another agent look at the work, which changes nothing, and posts its report at the draft", async () => {
  const { issue, cellId, short } = await cellOn("A task that is looked at");
  const before = [await hashes(cellId, "worktree"), await hashes(cellId, "artifacts/handoff")];
  const draft = await draftOfCell(cellId);
  await done(stage.lead, issue, `/lazarus invite ${short} bot:kimi observer`);
  const report = await stage.reply(draft, "reports on");
  expect(report).toMatch(
    /^\*\*kimi\*\* \(observer, invited by lead\) reports on `[0-9a-f]{10}`\. These are its words/,
  );
  expect(report).toContain("> It is observer, the work says 1, the last commit is turn 1.");
  // Without a user of its own a cell's agents are not kept from each other in `process`.
  if (process.geteuid?.() === 0) expect(report).not.toContain("could:");
  await stage.card(issue, /alpha is done.*1 commit.*→ draft #\d+/);
  expect([await hashes(cellId, "worktree"), await hashes(cellId, "artifacts/handoff")]).toEqual(before);
  expect(await stage.lazarus.readCell(cellId, "artifacts/guests/kimi/asked")).toContain(
    "lead invited you to look at the work in this cell.",
  );
  expect(await stage.status(cellId)).toMatchObject({
    members: [
      { name: "alpha", role: "executor" },
      { name: "kimi", kind: "bot", role: "observer" },
    ],
    turns: [
      { agent: "alpha", kind: "first", end: "done" },
      { agent: "kimi", role: "observer", kind: "guest", state: "over" },
    ],
  });
  await stage.type(stage.dev, draft, "/lazarus tell --to kimi do it");
  await stage.reply(draft, "kimi only looks at cell", 2);
  // It goes on as if nobody had looked.
  await done(stage.dev, issue, `/lazarus tell ${short} go on`);
  await stage.card(issue, /alpha is done.*2 commits/);
  await done(stage.lead, issue, `/lazarus close ${short}`);
  await stage.card(issue, "closed by lead");
});

it("has another agent go on with the work, and says of one that left nothing", async () => {
  const { issue, cellId, short } = await cellOn("A task that goes on");
  await done(stage.lead, issue, `/lazarus invite ${short} bot:worker executor`);
  await stage.card(issue, /worker is done.*2 commits.*→ draft #\d+/);
  expect(await stage.status(cellId)).toMatchObject({
    turns: [{ agent: "alpha" }, { agent: "worker", role: "executor", kind: "guest", end: "done" }],
  });
  await done(stage.lead, issue, `/lazarus invite ${short} bot:mute`);
  const said = await stage.reply(await draftOfCell(cellId), "left no report on");
  expect(said).toContain("exit 3");
  expect(said).toContain("I say nothing");
  await stage.card(issue, /worker is done.*2 commits/);
});

it("refuses agents that it cannot invite", async () => {
  const { issue, short } = await cellOn("A task with wrong agents");
  let count = 0;
  const refused = async (words: string, said: string) => {
    await stage.type(stage.lead, issue, `/lazarus invite ${short} ${words}`);
    await stage.reply(issue, said, ++count);
  };
  await refused("bot:kimi director", "an agent directs nothing");
  await refused("bot:kim", "No agent `kim` here. Did you mean `kimi`?");
  await refused("bot:alpha", "alpha works in cell");
  await refused("bot:kimi none", "kimi is no guest of cell");
  await refused("bot:kimi --for 2d", "`--for` limits the role of a person");
  await refused("kimi", "Type `@kimi` for a person, `bot:kimi` for an agent.");
  await done(stage.lead, issue, `/lazarus close ${short} --discard`);
  await stage.card(issue, "without publishing, archived");
  count++;
  await refused("bot:kimi", "is archived: `/lazarus revive");
});

it("keeps a guest in a sandbox from writing what it sees", needs("sandbox"), async () => {
  const boxed = await Stage.set({
    agents: AGENTS,
    agentMore: { backend: "sandbox", network: "none", paths: ["./agents"] },
  });
  try {
    const issue = await boxed.openIssue("A task in a sandbox");
    await boxed.type(boxed.dev, issue, "/lazarus summon alpha");
    await boxed.card(issue, /alpha is done.*→ draft #\d+/);
    const cellId = await boxed.cellId(issue);
    const before = [await boxed.lazarus.hashesIn(cellId, "worktree")];
    const { code, stdout } = await boxed.lazarus.cli("invite", cellId.slice(0, 8), "bot:kimi", "--json");
    expect([code, JSON.parse(stdout)]).toEqual([0, { id: cellId, member: "kimi", role: "observer" }]);
    const { pull_request: number } = (await boxed.status(cellId)) as { pull_request: number };
    const report = await boxed.reply({ repo: boxed.repo, number }, "reports on");
    expect(report).toContain("It is observer, the work says 1, the last commit is turn 1.");
    expect(report).not.toContain("could:");
    expect([await boxed.lazarus.hashesIn(cellId, "worktree")]).toEqual(before);
  } finally {
    await boxed.strike();
  }
});
