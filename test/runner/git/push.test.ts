import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { git, resolveCommit } from "../../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
let cell: CellSpec;
let tip: string;

beforeAll(async () => {
  rig = await createRunnerRig();
  rig.agent("echo $$ >made.txt; git add -A; git commit -qm made");
});
beforeEach(async () => {
  rig.reports.length = 0;
  rig.server.fault = null;
  rmSync(join(rig.forgeRepository, "hooks"), { recursive: true, force: true });
  cell = rig.spec(
    (await resolveCommit(rig.forgeRepository, "main")) ?? (await rig.commit("main", { "a.txt": "one\n" })),
  );
  await rig.runToEnd(cell);
  tip = (await rig.collect(cell)).tip ?? "";
});
afterAll(() => rig.remove());

function push(lease: string | null = null): Promise<void> {
  return rig.perform("push", {
    cellId: cell.id,
    run: 1,
    repository: cell.repository,
    branch: cell.branch,
    tip,
    lease,
    theirs: null,
  });
}

it("counts a tip that is there already as pushed", async () => {
  await push();
  await push();
  expect(rig.said("pushed").map((one) => one.branch)).toEqual([cell.branch, cell.branch]);
});

it("overwrites nobody: what people pushed stays, ours goes beside it", async () => {
  const theirs = await rig.commit("main", { "b.txt": "theirs\n" });
  await git(rig.forgeRepository, ["update-ref", `refs/heads/${cell.branch}`, theirs]);
  await push();
  expect(rig.said("pushed")).toEqual([
    expect.objectContaining({ branch: `${cell.branch}-2`, divertedFrom: cell.branch }),
  ]);
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(theirs);
  expect(await resolveCommit(rig.forgeRepository, `${cell.branch}-2`)).toBe(tip);
});

it("moves its own branch on, also where its history was rewritten, and whatever it contains", async () => {
  await git(rig.forgeRepository, ["update-ref", `refs/heads/${cell.branch}`, cell.baseCommit]);
  await push(null);
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(tip);

  rig.inWorktree(cell, "git commit -q --amend -m rewritten");
  const before = tip;
  tip = (await rig.collect(cell)).tip ?? "";
  expect(tip).not.toBe(before);
  await push(before);
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(tip);
});

it("brings nothing back that people took out: it goes beside their branch", async () => {
  await push();
  const removed = tip;
  await git(rig.forgeRepository, ["update-ref", `refs/heads/${cell.branch}`, cell.baseCommit]);
  rig.inWorktree(cell, "echo more > more.txt; git add more.txt; git commit -q -m more");
  tip = (await rig.collect(cell)).tip ?? "";
  await push(removed);
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(cell.baseCommit);
  expect(rig.said("pushed").at(-1)).toMatchObject({
    branch: `${cell.branch}-2`,
    divertedFrom: cell.branch,
  });
});

it("pushes from the cell's own bundle where the quarantine is gone, and not another commit", async () => {
  rmSync(join(rig.data, "quarantine"), { recursive: true });
  await push();
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(tip);
  tip = "d".repeat(40);
  rmSync(join(rig.data, "quarantine"), { recursive: true });
  await expect(push()).rejects.toMatchObject({ code: "git", retryable: false });
});

it.each([
  [
    "Gitea 1.23 and Forgejo",
    "echo; echo 'Gitea: Not allowed to push to branch x SECRET' >&2",
    "Gitea: Not allowed to push to branch x [redacted]",
  ],
  [
    "newer Giteas",
    "echo; echo error: >&2; echo 'error: Not allowed to push to branch x SECRET' >&2; echo error: >&2",
    "Not allowed to push to branch x [redacted]",
  ],
  ["hooks with limits of their own", "echo 'big.iso: File too large'", "big.iso: File too large"],
  ["servers without memory", "echo 'fatal: out of memory' >&2", "fatal: out of memory"],
])("reports the forge's own words when it refuses, as %s write them", async (_, says, why) => {
  const hook = join(rig.forgeRepository, "hooks", "pre-receive");
  mkdirSync(join(rig.forgeRepository, "hooks"));
  writeFileSync(hook, `#!/bin/sh\n${says.replace("SECRET", TOKEN)}\nexit 1\n`);
  chmodSync(hook, 0o755);
  await push();
  expect(rig.said("push-refused")).toEqual([expect.objectContaining({ why })]);
  expect(existsSync(join(rig.data, "quarantine", cell.id))).toBe(true);
});

it.each([
  [403, "write:repository"],
  [404, "no such repository"],
])("reports a %i as a refusal that says what is missing", async (status, words) => {
  rig.server.fault = (_request, response) => {
    response.writeHead(status, { location: "/elsewhere/app.git/info/refs?service=git-receive-pack" }).end();
    return true;
  };
  await push();
  expect(rig.said("push-refused")[0]?.why).toContain(words);
});

it.each([301, 307])(
  "is done again where a %i leads elsewhere: its repository may have a new name",
  async (status) => {
    rig.server.fault = (_request, response) => {
      response.writeHead(status, { location: "/elsewhere/app.git/info/refs?service=git-receive-pack" }).end();
      return true;
    };
    await expect(push()).rejects.toMatchObject({ code: "repository-moved", retryable: true });
    expect(rig.said("push-refused")).toEqual([]);
  },
);

it("is tried again when the forge fails or hangs up", async () => {
  rig.server.fault = (request, response) => {
    if (request.method === "GET") return false;
    response.writeHead(500).end();
    return true;
  };
  await expect(push()).rejects.toMatchObject({ code: "forge-unreachable", retryable: true });
  rig.server.fault = (request) => {
    request.socket.destroy();
    return true;
  };
  await expect(push()).rejects.toMatchObject({ code: "forge-unreachable", retryable: true });
  rig.server.fault = null;
  await push();
  expect(rig.said("pushed")).toHaveLength(1);
});

it("puts a commit on top that asks CI to leave the branch alone, the same each time", async () => {
  rig.restart({ config: { ...rig.deps.config, publish: { ...rig.deps.config.publish, skipCi: true } } });
  const harvest = await rig.collect(cell);
  expect(harvest.tip).not.toBe(tip);
  expect(harvest.commits[0]).toMatchObject({
    author: "lazarus",
    subject: "No CI for what an agent made [skip ci]",
  });
  expect(harvest.commits[1]?.hash).toBe(tip);
  // The quarantine is gone, as after a push that was cut off: it is made anew from the cell's own copy.
  rmSync(join(rig.data, "quarantine"), { recursive: true });
  tip = harvest.tip ?? "";
  await push();
  expect(await resolveCommit(rig.forgeRepository, cell.branch)).toBe(harvest.tip);
  rig.restart();
});
