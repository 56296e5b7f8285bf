import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { attack, branchOf, hostileStage, inState, livingIn, stillWorks, withOurRights } from "./ground.ts";

/** Commits, so that there is something to be lost. */
const WORK = 'echo work > work.txt; git add .; git commit --quiet -m "the work"';
const DEAF = `trap '' TERM INT HUP; ${WORK}; touch "$LAZARUS_ARTIFACTS/ready"; while :; do sleep 0.1; done`;
/** Writes into the tree for ever, deaf to TERM. */
const DAEMON = `trap "" TERM HUP; while :; do date +%N >> "$1/daemon.txt"; sleep 0.02; done`;

let stage: Stage;

beforeAll(async () => {
  stage = await hostileStage({
    deaf: DEAF,
    overtime: { script: DEAF, config: { limits: { run: "1s" } } },
    forker: `${WORK}
setsid sh -c '${DAEMON}' daemon "$PWD" > /dev/null 2>&1 &
(setsid sh -c '( ${DAEMON} ) & exit' daemon "$PWD" > /dev/null 2>&1 &)
sh -c '${DAEMON}' daemon "$PWD" &
until [ -s daemon.txt ]; do sleep 0.02; done`,
    orphan: `${WORK}
setsid sh -c '${DAEMON}' daemon "$PWD" > /dev/null 2>&1 &
kill -9 $PPID
while :; do sleep 0.1; done`,
    sleeper: { script: `${WORK}; kill -STOP $$; sleep 100`, config: { limits: { run: "1s" } } },
    deafener: { script: `${WORK}; kill -STOP $PPID`, config: { limits: { run: "1s" } } },
    bomb: `${WORK}
bomb() { sh -c 'while :; do sleep 0.01 & sleep 0.01; done' & }
for i in 1 2 3 4 5 6 7 8; do bomb; done
exit 7`,
  });
});

afterAll(() => stage?.strike());

afterEach(() => stillWorks(stage));

/** What everything a run may not survive comes down to. */
async function isOver(cellId: string): Promise<void> {
  expect(await livingIn(cellId)).toEqual([]);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  expect(await branchOf(stage, cellId)).toMatch(/^[0-9a-f]{40}$/);
}

describe("an agent that ignores TERM", () => {
  it("is killed after its time and the grace, and what it made is kept", async () => {
    const { card, cellId } = await attack(stage, "overtime", /→ draft #\d+/);
    expect(card).toMatch(
      /\*\*overtime stopped\*\* \(over its wall clock of 1 ?s after \d+ s\): 1 commit, 1 file, \+1 −0/,
    );
    expect(await stage.status(cellId)).toMatchObject({ outcome: "failed" });
    await isOver(cellId);
  });

  it("is killed when a person says stop", async () => {
    const { issue, cellId } = await attack(stage, "deaf", "**deaf is working**");
    await until("it is ready", () =>
      stat(join(stage.lazarus.missionsDir, cellId, "artifacts", "ready")).then(Boolean, () => false),
    );
    const comment = await stage.type(stage.dev, issue, "/lazarus stop");
    const card = await stage.card(issue, /→ draft #\d+/);
    expect(card).toContain("stopped by dev");
    expect(await stage.reacted(issue, comment, "rocket")).toEqual(["eyes", "rocket"]);
    await isOver(cellId);
  });
});

it("ends what left the session, by fork, double fork and setsid, before the work is taken out", async () => {
  const { card, cellId } = await attack(stage, "forker", /→ draft #\d+/);
  expect(card).toContain("2 commits, 2 files");
  expect(card).not.toContain("could not be ended");
  await isOver(cellId);
  const tree = join(stage.lazarus.missionsDir, cellId, "worktree", "daemon.txt");
  const before = await readFile(tree, "utf8");
  await stillWorks(stage);
  expect(await readFile(tree, "utf8")).toBe(before);
});

withOurRights("says so when an agent kills its own parent, and ends what went on", async () => {
  const { card, cellId } = await attack(stage, "orphan", /→ draft #\d+/);
  expect(card).toMatch(/\*\*orphan stopped\*\* \((ended by signal KILL|gone|killed)/);
  expect(await stage.status(cellId)).toMatchObject({ outcome: "failed" });
  await isOver(cellId);
});

const WAKES = "wakes what stopped itself when its time is over";
async function wakes(agent: string): Promise<void> {
  const { card, cellId } = await attack(stage, agent, /→ draft #\d+/);
  expect(card).toContain("over its wall clock of 1");
  await isOver(cellId);
}
it(`${WAKES}`, () => wakes("sleeper"));
withOurRights(`${WAKES}, and its parent with it`, () => wakes("deafener"));

it("outlasts an agent that left a bomb behind", async () => {
  const { card, cellId } = await attack(stage, "bomb", /→ draft #\d+/);
  expect(card).toContain("**bomb stopped** (exit 7");
  await isOver(cellId);
  await inState(stage, cellId, "idle");
});
