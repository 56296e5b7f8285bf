import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { Stage } from "./stage.ts";

const VALUE = "topsecret-abcdef-99";
const AGENTS = {
  /** Commits what it was given, prints it, and stays until it is told to go. */
  leaky: `set -eu
echo "key: $SOMEKEY" | tee leak.txt
git add leak.txt
git commit --quiet -m "leak"
touch committed
while [ ! -e go ]; do sleep 0.05; done
rm committed go`,
};

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: AGENTS, agentMore: { env: ["SOMEKEY"] } });
  await stage.lazarus.end();
});
afterAll(() => stage?.strike());

const branchOf = (cellId: string) => stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);

/**
 * A server that knows the value, an agent that committed it and is still at work; then the server is gone.
 */
async function committed() {
  await stage.lazarus.serve({ env: { SOMEKEY: VALUE } });
  const issue = await stage.openIssue("A task for leaky");
  await stage.type(stage.dev, issue, "/lazarus summon leaky");
  const cellId = await stage.cellId(issue);
  const inTree = (name: string) => join(stage.lazarus.missionsDir, cellId, "worktree", name);
  await until("it has committed", () => existsSync(inTree("committed")));
  await stage.lazarus.end();
  return { issue, cellId, go: () => writeFileSync(inTree("go"), "") };
}

it("a command line that does not know an agent's secret pushes nothing and shows nothing", async () => {
  const { issue, cellId } = await committed();
  const stopped = await stage.lazarus.cli("stop", cellId);
  expect(stopped.stdout + stopped.stderr).toContain("SOMEKEY, which its agent had, is not set here");
  expect(await branchOf(cellId)).toBe(null);
  for (const words of [["logs"], ["logs", "--raw"]]) {
    const { code, stdout, stderr } = await stage.lazarus.cli(...words, cellId);
    expect(stdout + stderr).not.toContain(VALUE);
    expect([code, stdout + stderr]).toEqual([1, expect.stringContaining("is not set here")]);
  }
  // Where it is known it is looked for, and never pushed.
  await stage.lazarus.serve({ env: { SOMEKEY: VALUE } });
  const card = await stage.card(issue, "held back");
  expect(card).toContain("shows the value of SOMEKEY, which is a secret (env)");
  expect(card).not.toContain(VALUE);
  expect(await branchOf(cellId)).toBe(null);
  const diff = await stage.lazarus.cli("diff", cellId);
  expect([diff.code, diff.stdout + diff.stderr]).toEqual([1, expect.stringContaining("is not set here")]);
  await stage.lazarus.end();
});

it("a director lets the value of a variable go, by its name", async () => {
  const { issue, cellId, go } = await committed();
  await stage.lazarus.serve({ env: { SOMEKEY: VALUE } });
  go();
  const card = await stage.card(issue, "held back");
  expect(card).toContain(`publish ${cellId.slice(0, 8)} --allow-secret SOMEKEY`);
  await stage.type(stage.lead, issue, "/lazarus publish --allow-secret LAZARUS_FORGE_TOKEN");
  await stage.reply(issue, "what can be let go is SOMEKEY");
  await stage.type(stage.dev, issue, "/lazarus publish --allow-secret SOMEKEY");
  await stage.reply(issue, "needs a director", 2);
  expect(await branchOf(cellId)).toBe(null);
  const { code } = await stage.lazarus.cli("publish", cellId, "--allow-secret", "SOMEKEY");
  expect(code).toBe(0);
  expect(await stage.card(issue, /→ draft #\d+/)).not.toContain(VALUE);
  expect(await branchOf(cellId)).not.toBe(null);
  await stage.lazarus.end();
});

it("a server that has another value by now holds back what it cannot look through", async () => {
  const { issue, cellId, go } = await committed();
  await stage.lazarus.serve({ env: { SOMEKEY: "another-value-12345" } });
  go();
  const card = await stage.card(issue, "held back");
  expect(card).toContain("SOMEKEY had another value when its agent ran");
  expect(await branchOf(cellId)).toBe(null);
  await stage.lazarus.end();
});
