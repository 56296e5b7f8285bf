import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { draftOf } from "./exit-agents.ts";
import { Stage, type Thread } from "./stage.ts";

/** Counts its runs in `n`, and keeps what each was asked. */
const HEARS = `set -eu
n=$(cat "$LAZARUS_ARTIFACTS/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "$LAZARUS_ARTIFACTS/n"
cat > "$LAZARUS_ARTIFACTS/asked-$n"`;
const COMMITS = `echo "run $n" > "run-$n.txt"; git add -A; git commit --quiet -m "run $n"`;
const AGENTS = {
  talker: `${HEARS}
${COMMITS}`,
  /** Its first run waits until it is let go, with something half done. */
  sleeper: `${HEARS}
echo half > "half-$n.txt"
while [ $n = 1 ] && [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.05; done
${COMMITS}`,
  /** Its second run does. */
  dreamer: `${HEARS}
while [ $n = 2 ] && [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.05; done
${COMMITS}`,
  asker: `${HEARS}
if [ $n = 1 ]; then echo "Which parser?" > "$LAZARUS_ARTIFACTS/question.md"; fi
${COMMITS}`,
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: AGENTS, limits: { grace: "2s" } });
});
afterAll(() => stage?.strike());

async function summon(agent: string, shown: string | RegExp): Promise<{ issue: Thread; cellId: string }> {
  const issue = await stage.openIssue(`A task for ${agent}`);
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  await stage.card(issue, shown);
  return { issue, cellId: await stage.cellId(issue) };
}

const asked = (cellId: string, run: number) => stage.lazarus.readCell(cellId, `artifacts/asked-${run}`);
const letGo = (cellId: string) => writeFile(join(stage.lazarus.missionsDir, cellId, "artifacts", "go"), "");

it("is a turn of its own in the same cell, with these words, on the same card and draft", async () => {
  const { issue, cellId } = await summon("talker", /→ draft #\d+/);
  const told = await stage.type(stage.dev, issue, "/lazarus tell use numbers\n\nand `tests`");
  expect(await stage.reacted(issue, told, "rocket")).toEqual(["eyes", "rocket"]);
  const card = await stage.card(issue, /2 commits, 2 files.*→ draft #\d+/);
  expect(await stage.cards(issue)).toHaveLength(1);
  expect((await draftOf(stage, card)).subjects).toEqual(["talker: run 2", "talker: run 1"]);
  const prompt = await asked(cellId, 2);
  expect(prompt).toMatch(/## What dev tells you \(.* UTC\)\n\n~~~\nuse numbers\n\nand `tests`\n~~~/);
  expect(await stage.status(cellId)).toMatchObject({
    turns: [
      { n: 1, kind: "first", state: "over", end: "done", runs: [1] },
      { n: 2, kind: "tell", state: "over", end: "done", runs: [2] },
    ],
    messages: [{ from: "dev", state: "given", run: 2 }],
  });
});

it("waits while the agent works, and is taken back by deleting the comment", async () => {
  const { issue, cellId } = await summon("sleeper", "**sleeper is working**");
  const told = await stage.type(stage.dev, issue, "/lazarus tell use numbers");
  await stage.card(issue, "1 message waits for sleeper's next turn: dev");
  await stage.server.deleteComment(stage.dev, stage.repo, told);
  // Not every server moves a thread where a comment goes: the next look at it is as good.
  await stage.type(stage.dev, issue, "something else");
  await letGo(cellId);
  const card = await stage.card(issue, /sleeper is done.*→ draft #\d+/);
  expect(card).not.toContain("message");
  expect(await stage.status(cellId)).toMatchObject({ runs: 1, messages: [{ state: "retracted" }] });
});

it("stays given where its comment is deleted too late, and the card says so", async () => {
  const { issue, cellId } = await summon("dreamer", /dreamer is done.*→ draft #\d+/);
  const told = await stage.type(stage.dev, issue, "/lazarus tell use numbers");
  await stage.card(issue, "**dreamer is working**");
  await stage.reacted(issue, told, "rocket");
  await stage.server.deleteComment(stage.dev, stage.repo, told);
  await stage.type(stage.dev, issue, "something else");
  await stage.card(issue, "A message of dev was retracted too late: turn 2 has it.");
  await letGo(cellId);
  await stage.card(issue, /2 commits.*→ draft #\d+/);
  const why = "retracted too late: turn 2 has it";
  expect(await stage.status(cellId)).toMatchObject({ messages: [{ state: "given", run: 2, why }] });
});

it("ends a run with --now, keeps what it had not committed, and publishes nothing in between", async () => {
  const { issue, cellId } = await summon("sleeper", "**sleeper is working**");
  const told = await stage.type(stage.lead, issue, "/lazarus tell --now stop that");
  const card = await stage.card(issue, /sleeper is done.*→ draft #\d+/);
  expect(await stage.reacted(issue, told, "rocket")).toEqual(["eyes", "rocket"]);
  expect((await draftOf(stage, card)).subjects).toEqual([
    "sleeper: run 2",
    "sleeper: wip: left uncommitted by sleeper",
  ]);
  expect(await asked(cellId, 2)).toMatch(/a person stopped you\.[\s\S]*~~~\nstop that\n~~~/);
  expect(await stage.status(cellId)).toMatchObject({
    turns: [{ end: "stopped" }, { kind: "tell", end: "done" }],
  });
});

it("answers a question, from the draft and by another person, and the draft follows", async () => {
  const { issue, cellId } = await summon("asker", /asks a question.*→ draft #\d+/);
  expect(await stage.reply(issue, "asks a question")).toContain(
    `/lazarus tell ${cellId.slice(0, 8)} your answer`,
  );
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  await stage.type(stage.lead, { repo: stage.repo, number }, "/lazarus tell the new one");
  const card = await stage.card(issue, /asker is done.*2 commits.*→ draft #\d+/);
  expect(card).toContain(`#${number}`);
  expect(await asked(cellId, 2)).toMatch(
    /## You asked\n\n~~~\nWhich parser\?\n~~~\n\n## What lead tells you \(.*\)\n\n~~~\nthe new one\n~~~/,
  );
});

it("is heard at a line of the draft's diff, and answered there by a reaction", async () => {
  const { issue, cellId } = await summon("talker", /→ draft #\d+/);
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  const path = `/repos/${stage.repo}/pulls/${number}/reviews`;
  const made = await stage.server.api(stage.lead, "POST", path, {
    ...{ event: "COMMENT", body: "" },
    comments: [{ path: "run-1.txt", new_position: 1, body: "/lazarus tell say run one" }],
  });
  expect(made.status).toBe(200);
  const { id } = made.json as { id: number };
  const [line] = (await stage.server.api(stage.lead, "GET", `${path}/${id}/comments`)).json as {
    id: number;
  }[];
  await stage.card(issue, /2 commits, 2 files.*→ draft #\d+/);
  expect(await asked(cellId, 2)).toMatch(/## What lead tells you \(.*\)\n\n~~~\nsay run one\n~~~/);
  expect(await stage.reacted(issue, line?.id ?? 0, "rocket")).toEqual(["eyes", "rocket"]);
});

it("is said in a terminal, too, and taken back there", async () => {
  const { issue, cellId } = await summon("sleeper", "**sleeper is working**");
  const one = await stage.lazarus.cli("tell", cellId, "--json", "use", "numbers");
  const { message } = JSON.parse(one.stdout) as { message: number };
  const back = await stage.lazarus.cli("tell", cellId, "--retract", String(message));
  expect(back.stdout).toContain(`message ${message} is retracted`);
  await stage.lazarus.cli("tell", cellId, "and", "the", "tests");
  await letGo(cellId);
  await stage.card(issue, /sleeper is done.*2 commits/);
  const prompt = await asked(cellId, 2);
  expect(prompt).toContain("~~~\nand the tests\n~~~");
  expect(prompt).not.toContain("use numbers");
});
