import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";

let rig: RunnerRig;
beforeAll(async () => {
  rig = await createRunnerRig();
});
beforeEach(() => {
  rig.reports.length = 0;
  rig.agent("true");
});
afterAll(() => rig.remove());

it.each(["main", "master", "topic"])("starts on a branch that the clone has already: %s", async (branch) => {
  const base = await rig.commit(branch, { "a.txt": `${branch}\n` });
  // As a pull request from there is: people have gone on since.
  await rig.commit(branch, { "a.txt": `${branch}, later\n` });
  const cell = rig.spec(base, { branch, baseRef: `refs/heads/${branch}` });
  await rig.runToEnd(cell);
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "safe.directory=*", "-C", rig.cellPath(cell, "worktree"), ...args], {
      encoding: "utf8",
    }).trim();
  expect([git("rev-parse", "HEAD"), git("symbolic-ref", "HEAD")]).toEqual([base, `refs/heads/${branch}`]);
});

it("starts at what was pushed where its first directory was lost, and that is kept for it", async () => {
  const base = await rig.commit("main", { "a.txt": "base\n" });
  const cell = rig.spec(base);
  await rig.commit(cell.branch, { "a.txt": "made\n" });
  const tip = await rig.commit(cell.branch, { "a.txt": "made, and more\n" });
  const again = { ...cell, startsAt: { ref: `refs/heads/${cell.branch}`, commit: tip } };
  await rig.runToEnd(again);
  const git = (dir: string, ...args: string[]) =>
    execFileSync("git", ["-c", "safe.directory=*", "-C", dir, ...args], { encoding: "utf8" }).trim();
  const tree = rig.cellPath(again, "worktree");
  expect([git(tree, "rev-parse", "HEAD"), git(tree, "symbolic-ref", "HEAD")]).toEqual([
    tip,
    `refs/heads/${cell.branch}`,
  ]);
});

it("is refused for good where its files cannot be checked out", async () => {
  const base = await rig.commit("main", {
    [`${"long".repeat(100)}.txt`]: "no file system takes this name\n",
  });
  const cell = rig.spec(base);
  await rig.start(cell);
  expect(rig.said("run-refused")[0]?.why).toMatch(/^cloning acme\/app into cell [0-9a-f]{8}: .*cannot stat/);
  expect(readdirSync(rig.missions).filter((name) => name.includes(cell.id))).toEqual([]);
});
