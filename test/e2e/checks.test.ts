import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { draftOf } from "./exit-agents.ts";
import { Stage, type Thread } from "./stage.ts";

/** Breaks the tests in its first turn, and mends them where it is told that they fail. */
const BREAKER = `set -eu
cat > "$LAZARUS_ARTIFACTS/asked-$LAZARUS_TURN"
if grep -q "These checks fail" "$LAZARUS_ARTIFACTS/asked-$LAZARUS_TURN"; then git rm --quiet broken.txt
else echo broken > broken.txt; echo work > work.txt; git add -A; fi
git commit --quiet -m "turn $LAZARUS_TURN"`;
/** Never mends it. */
const STUBBORN = `set -eu
echo broken > broken.txt; echo "$LAZARUS_TURN" > turn.txt; git add -A; git commit --quiet -m "turn $LAZARUS_TURN"`;
const CHEAT = `set -eu
echo 'test: "true"' > .lazarus.yml; echo broken > broken.txt; git add -A; git commit --quiet -m cheat`;
const GOOD = 'echo "$LAZARUS_TURN" >> good.txt; git add -A; git commit --quiet -m "good work"';

const TEST = "test ! -e broken.txt || { echo the tests see broken.txt; exit 3; }";
const RULES = [
  'lint: "true"',
  `test: ${JSON.stringify(TEST)}`,
  'e2e: "no-such-program --all"',
  'keys: "env; ! env | grep -q AGENT_KEY"',
].join("\n");

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({
    agents: { breaker: BREAKER, stubborn: STUBBORN, cheat: CHEAT, good: GOOD },
    agentMore: { set: { AGENT_KEY: "an-agents-key" } },
    limits: { grace: "2s" },
    files: { ".lazarus.yml": `${RULES}\n` },
    checks: {
      "acme/app": { from: "branch" },
      "acme/here": {
        setup: "echo made > made.txt",
        test: { run: "cat made.txt; sleep 0.1; grep -q one src.txt" },
      },
      "acme/slow": { test: { run: "sleep 600" } },
      "acme/odd": { from: "branch" },
    },
  });
  await stage.createRepository("acme/here", { files: { "src.txt": "one\n" } });
  await stage.createRepository("acme/slow", { files: { "src.txt": "one\n" } });
  await stage.createRepository("acme/odd", {
    files: { ".lazarus.yml": "test: [npm, test]\nlint: 'true'\n" },
  });
});
afterAll(() => stage?.strike());

interface Shown {
  readonly state: string;
  readonly pull_request: number;
  readonly turns: readonly { readonly kind: string; readonly end: string | null }[];
  readonly checks: readonly {
    readonly name: string;
    readonly tip: string;
    readonly state: string;
    readonly exit: number | null;
    readonly on_base: string | null;
  }[];
}
const shown = async (cellId: string) => (await stage.status(cellId)) as unknown as Shown;
const bodyOf = async (number: number, repo = stage.repo) =>
  ((await stage.server.api(stage.bot, "GET", `/repos/${repo}/pulls/${number}`)).json as { body: string })
    .body;

async function summon(agent: string, repo = stage.repo): Promise<Thread> {
  const issue = await stage.openIssue(`A task for ${agent}`, { repo });
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  return issue;
}

/** The newest status of each context at a commit. */
async function statusesAt(commit: string, repo = stage.repo): Promise<Record<string, string>> {
  const { json } = await stage.server.api(
    stage.dev,
    "GET",
    `/repos/${repo}/commits/${commit}/statuses?limit=50`,
  );
  const all = (json as { id: number; context: string; status: string }[]).sort((a, b) => a.id - b.id);
  return Object.fromEntries(all.map((one) => [one.context, one.status]));
}

it("runs what the base branch names, and has the agent mend once what it broke", async () => {
  const issue = await summon("breaker");
  const card = await stage.card(
    issue,
    /breaker is done.*→ draft #\d+[\s\S]*Checks of `[0-9a-f]{10}`: lint ok, test ok, e2e could not be run: a command was not found/,
  );
  const cellId = await stage.cellId(issue);
  const { turns, checks, pull_request: number, state } = await shown(cellId);
  expect(state).toBe("idle");
  expect(turns).toMatchObject([
    { kind: "first", end: "done" },
    { kind: "fix", end: "done" },
  ]);
  expect(checks).toMatchObject([
    { name: "lint", state: "passed", exit: 0 },
    { name: "test", state: "passed", exit: 0 },
    { name: "e2e", state: "broken", exit: 127 },
    { name: "keys", state: "passed", exit: 0 },
  ]);
  expect((await draftOf(stage, card)).subjects).toEqual(["breaker: turn 2", "breaker: turn 1"]);
  const asked = await stage.lazarus.readCell(cellId, "artifacts/asked-2");
  expect(asked).toContain("They pass on `main`");
  expect(asked).toContain("### test: exit 3");
  expect(asked).toContain("the tests see broken.txt");
  const body = await bodyOf(number);
  expect(body).toContain("with the commands of .lazarus.yml at");
  expect(body).toMatch(/\| test \| ok \| \d+ s \|/);
  expect(body).toContain("| e2e | **could not be run: a command was not found (exit 127)** |");
  const tip = checks[0]?.tip ?? "";
  await until("the statuses are there", async () => (await statusesAt(tip))["lazarus/keys"] === "success");
  expect(await statusesAt(tip)).toMatchObject({
    "lazarus/lint": "success",
    "lazarus/test": "success",
    "lazarus/e2e": "error",
  });
  await stage.reviewAsked(number, "dev");
  const log = await stage.lazarus.cli("logs", cellId, "--check", "keys");
  expect(log.stdout).toContain("CI=1");
  expect(log.stdout).not.toContain("an-agents-key");
  await stage.type(stage.dev, issue, "/lazarus logs --check e2e");
  await stage.reply(issue, "no-such-program");
});

it("asks people where its agent does not mend it, and says that it passes on the base", async () => {
  const issue = await summon("stubborn");
  await stage.card(issue, /Checks of `[0-9a-f]{10}`: lint ok, test failed, exit 3; passes on main/);
  const cellId = await stage.cellId(issue);
  const { pull_request: number } = await shown(cellId);
  // Not before its second go was checked, too.
  await stage.reviewAsked(number, "dev");
  await stage.card(issue, /The end of test[\s\S]*the tests see broken.txt/);
  const { turns, checks, state } = await shown(cellId);
  expect([state, turns.map(({ kind, end }) => [kind, end])]).toEqual([
    "idle",
    [
      ["first", "done"],
      ["fix", "done"],
    ],
  ]);
  expect(checks.find((one) => one.name === "test")).toMatchObject({ state: "failed", on_base: "passed" });
  const { stdout } = await stage.lazarus.cli("status", cellId);
  expect(stdout).toContain(`draft #${number}, 2 checks failed`);
});

it("holds back a change of what is run, and runs what the base says", async () => {
  const issue = await summon("cheat");
  await stage.card(issue, /Held back:.*\.lazarus\.yml/);
  const cellId = await stage.cellId(issue);
  expect((await shown(cellId)).checks).toEqual([]);
  await stage.type(stage.lead, issue, "/lazarus publish --allow-protected");
  await stage.card(issue, /test failed, exit 3; passes on main/);
});

it("sets the clone up first where lazarus.yaml says so, and runs nothing of the cell's tree", async () => {
  const issue = await summon("good", "acme/here");
  await stage.card(issue, /Checks of `[0-9a-f]{10}`: test ok/);
  const cellId = await stage.cellId(issue);
  expect((await stage.lazarus.cli("logs", cellId, "--check", "test")).stdout).toBe("made\n");
});

it("gives way to what people tell the agent, and to a stop", async () => {
  const issue = await summon("good", "acme/slow");
  const cellId = await stage.cellId(issue);
  await stage.card(issue, "**being checked**: test");
  const { state, checks: begun } = await shown(cellId);
  expect(state).toBe("active");
  const tip = begun[0]?.tip ?? "";
  const statusAt = async (wanted: string) => (await statusesAt(tip, "acme/slow"))["lazarus/test"] === wanted;
  await until("the status says that it is at work", () => statusAt("pending"));
  await stage.type(stage.dev, issue, "/lazarus tell once more");
  await until("the second turn was checked, too", async () => {
    const { turns, checks } = await shown(cellId);
    return turns.length === 2 && turns[1]?.end === "done" && checks[0]?.state === "running";
  });
  await until("what is checked no more says so", () => statusAt("error"));
  const stopped = await stage.type(stage.dev, issue, "/lazarus stop");
  await stage.reacted(issue, stopped, "rocket");
  await stage.card(issue, /good is done[\s\S]*Checks of `[0-9a-f]{10}`: test stopped by dev/);
  expect((await shown(cellId)).state).toBe("idle");
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, "**closed by lead**: published as");
});

it("says what of a repository's file cannot be run, and runs the rest", async () => {
  const issue = await summon("good", "acme/odd");
  await stage.card(
    issue,
    /Checks of `[0-9a-f]{10}`: lint ok, test could not be run: test: .{1,2}\["npm","test".{1,2} is not a section of keys/,
  );
});

it("goes on where a server was killed while a check ran", async () => {
  const issue = await summon("good", "acme/slow");
  await stage.card(issue, "**being checked**: test");
  const cellId = await stage.cellId(issue);
  await stage.lazarus.end("SIGKILL");
  await stage.lazarus.serve();
  await stage.type(stage.dev, issue, "/lazarus stop");
  await stage.card(issue, /test stopped by dev/);
  expect((await shown(cellId)).checks).toMatchObject([{ name: "test", state: "stopped" }]);
});

describe("in the sandbox", needs("sandbox"), () => {
  let boxed: Stage;
  beforeAll(async () => {
    boxed = await Stage.set({
      agents: { good: GOOD },
      agentMore: { backend: "sandbox", command: ["/bin/sh", "-c", `${GOOD}; echo key > "$HOME/key"`] },
      checks: {
        "acme/app": {
          setup: "echo made > made.txt",
          test: 'cat made.txt good.txt; git status --porcelain; ls -A "$HOME/.." 2>&1; cat "$HOME/../good/key" 2>&1 || exit 3',
        },
      },
    });
  });
  afterAll(() => boxed?.strike());

  it("sees its own clone and home, and nothing of the agent's", async () => {
    const issue = await boxed.openIssue("A task in the sandbox");
    await boxed.type(boxed.dev, issue, "/lazarus summon good");
    await boxed.card(issue, /Checks of `[0-9a-f]{10}`: test failed, exit 3/);
    const { stdout } = await boxed.lazarus.cli("logs", await boxed.cellId(issue), "--check", "test");
    expect(stdout).toMatch(/^made\n1\n\?\? made\.txt\n\.checks\ncat: .*No such file or directory\n$/);
  });
});
