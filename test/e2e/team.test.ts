import { afterAll, beforeAll, expect, it } from "vitest";
import { draftOf } from "./exit-agents.ts";
import { Stage } from "./stage.ts";

/** Keeps what it was asked, and looks whether it may read the home of whoever worked before it. */
const BEGINS = `set -eu
cat > "$LAZARUS_ARTIFACTS/asked-$LAZARUS_AGENT"
echo secret > "$HOME/key"
cat "$HOME/../"*/key > "$LAZARUS_ARTIFACTS/read-$LAZARUS_AGENT" 2>/dev/null || true
work() { echo "$LAZARUS_AGENT" > "$LAZARUS_AGENT.txt"; git add -A; git commit --quiet -m "by $LAZARUS_AGENT"; }
say() { echo "$LAZARUS_AGENT reports" > "$LAZARUS_ARTIFACTS/reports/$LAZARUS_TURN.md"; }`;
const PACKET =
  'printf \'## Done\\n\\nall by %s\\n\\n## Open\\n\\nnothing\\n\' "$LAZARUS_AGENT" > "$LAZARUS_HANDOFF"';
const AGENTS = {
  alpha: `${BEGINS}
work; say; ${PACKET}`,
  beta: `${BEGINS}
work; say; ${PACKET}`,
  gamma: `${BEGINS}
work; say`,
  fails: `${BEGINS}
work; exit 3`,
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: AGENTS, limits: { grace: "2s" } });
});
afterAll(() => stage?.strike());

const asked = (cellId: string, agent: string) => stage.lazarus.readCell(cellId, `artifacts/asked-${agent}`);

it("works one after the other on one tree, with one card, one draft and a report of each", async () => {
  const issue = await stage.openIssue("A task for three");
  const typed = await stage.type(stage.dev, issue, "/lazarus team alpha+beta+gamma -- with tests");
  const card = await stage.card(issue, /gamma is done.*3 commits, 3 files.*→ draft #\d+/);
  expect(await stage.reacted(issue, typed, "rocket")).toEqual(["eyes", "rocket"]);
  expect(await stage.cards(issue)).toHaveLength(1);
  const cellId = await stage.cellId(issue);
  expect((await draftOf(stage, card)).subjects).toEqual([
    "gamma: by gamma",
    "beta: by beta",
    "alpha: by alpha",
  ]);
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  const body = (await stage.server.api(stage.bot, "GET", `/repos/${stage.repo}/pulls/${number}`)).json as {
    body: string;
  };
  const reports = [...body.body.matchAll(/### What (\w+) reports\n[\s\S]*?> (\w+) reports/g)].map(
    (one) => `${one[1]} ${one[2]}`,
  );
  expect(reports).toEqual(["alpha alpha", "beta beta", "gamma gamma"]);

  const first = await asked(cellId, "alpha");
  expect(first).toContain("alpha, then beta, then gamma.");
  expect(first).toContain("with tests");
  const second = await asked(cellId, "beta");
  expect(second).toMatch(/^# Run 2 in cell [0-9a-f]{8}: you are beta\n/);
  expect(second).toContain("This is your first run here. alpha worked here before you");
  expect(second).toMatch(/alpha made 1 commit:\n\n~~~\n[0-9a-f]{10} by alpha\n~~~/);
  expect(second).toContain("## What alpha says\n\n~~~\n## Done\n\nall by alpha\n");
  expect(second).toContain("It says nothing under Check, Mind.");
  expect(second).toContain("A task for three");
  expect(await asked(cellId, "gamma")).toContain("beta made 1 commit");
  expect(await stage.status(cellId)).toMatchObject({
    team: ["alpha", "beta", "gamma"],
    turns: [
      { agent: "alpha", kind: "first", end: "done" },
      { agent: "beta", kind: "next", end: "done" },
      { agent: "gamma", kind: "next", end: "done" },
    ],
  });
  // Only where cells have users of their own can one home be closed to the next.
  const read = (await stage.lazarus.readCell(cellId, "artifacts/read-gamma")).trim().split("\n").length;
  expect(read).toBe(process.geteuid?.() === 0 ? 1 : 3);
});

it("is held where one of them fails, shows what there is, and goes on with whoever is called", async () => {
  const issue = await stage.openIssue("A task for two");
  await stage.type(stage.dev, issue, "/lazarus team fails+beta");
  await stage.card(issue, /fails stopped.*→ draft #\d+/);
  const card = await stage.card(
    issue,
    /Then beta \(held\): `\/lazarus revive [0-9a-f]{8} beta` lets the next one begin\./,
  );
  const cellId = await stage.cellId(issue);
  expect((await draftOf(stage, card)).subjects).toEqual(["fails: by fails"]);
  await stage.type(stage.dev, issue, `/lazarus revive ${cellId.slice(0, 8)} beta`);
  const done = await stage.card(issue, /beta is done.*2 commits.*→ draft #\d+/);
  expect(done).not.toContain("held");
  expect(await asked(cellId, "beta")).toContain("fails's turn ended: crashed");
});

it.each([
  ["alpha+alpha", "alpha is named twice: each agent of a team has one turn."],
  ["alpha+", "is no team: name two agents or more"],
  ["alpha", "is no team: name two agents or more"],
  ["alpha+betta", "No agent `betta` here. Did you mean `beta`?"],
  ["alpha+beta+gamma+fails+x+y", "No agent `x` here."],
])("refuses the team %s", async (typed, words) => {
  const issue = await stage.openIssue(`A team of ${typed.length}`);
  await stage.type(stage.dev, issue, `/lazarus team ${typed}`);
  expect(await stage.reply(issue, words)).toContain(words);
  expect(await stage.cards(issue)).toEqual([]);
});
