import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CellSpec, Harvest, PeoplePush } from "../../src/protocol/shapes.ts";
import { git } from "../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";

let rig: RunnerRig;
let base: string;
let cell: CellSpec;
/** What the first run made, as it was pushed. */
let ours: string;

beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "a\n" });
  cell = rig.spec(base);
  rig.agent("echo one >one.txt; git add .; git commit -qm one");
  await rig.runToEnd(cell);
  ours = (await rig.collect(cell)).tip ?? "";
  await push(ours, null);
});
afterEach(() => rig.remove());

const ref = () => `refs/heads/${cell.branch}`;
const onForge = async () => (await git(rig.forgeRepository, ["rev-parse", ref()])).trim();
const head = () => rig.inWorktree(cell, "git rev-parse HEAD").trim();
const read = (name: string) => readFileSync(rig.cellPath(cell, "worktree", name), "utf8");

async function push(tip: string, lease: string | null, theirs: string | null = null): Promise<void> {
  const { id: cellId, repository, branch } = cell;
  await rig.perform("push", { cellId, run: 1, repository, branch, tip, lease, theirs });
}

async function takeIn(known = ours, run = 2): Promise<PeoplePush | null> {
  const { id: cellId, repository, user, branch, baseCommit } = cell;
  await rig.perform("take-in", {
    cellId,
    run,
    repository,
    user,
    agent: "allegro",
    branch,
    tip: known,
    baseCommit,
  });
  const said = rig.said("taken-in").at(-1);
  if (said?.run !== run) throw new Error("nothing was reported");
  return said.people;
}

/** The next run, after which `theirs` is what people pushed last. */
async function next(script: string, theirs: PeoplePush, run = 2): Promise<Harvest> {
  rig.agent(script);
  await rig.runToEnd(cell, run);
  return rig.collect(cell, run, [{ from: theirs.from, to: theirs.tip, isTaken: theirs.isTaken }]);
}

function taken(people: PeoplePush | null): PeoplePush {
  if (people === null) throw new Error("people pushed nothing");
  return people;
}

describe("what people push to a cell's branch", () => {
  it("is in the tree before the next run, which goes on from there", async () => {
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    const people = taken(await takeIn());
    expect(people).toMatchObject({
      branch: cell.branch,
      from: ours,
      tip: theirs,
      count: 1,
      isTaken: true,
      why: null,
    });
    expect(people.commits.map(({ hash, author, subject }) => [hash, author, subject])).toEqual([
      [theirs, "Dev", "a commit"],
    ]);
    expect([head(), read("two.txt")]).toEqual([theirs, "two\n"]);
    const harvest = await next("echo three >three.txt; git add .; git commit -qm three", people);
    expect(harvest).toMatchObject({ commitCount: 2, files: 2, added: 2, heldBack: [] });
    expect(harvest.commits.map((one) => one.subject)).toEqual(["three", "one"]);
    await push(harvest.tip ?? "", theirs, theirs);
    expect(rig.said("pushed").at(-1)).toMatchObject({ branch: cell.branch, divertedFrom: null });
    expect(await onForge()).toBe(harvest.tip);
    expect(await git(rig.forgeRepository, ["log", "--format=%s", ref()])).toBe(
      "three\na commit\none\na commit",
    );
  });

  it("is found once: what is known, or was taken away, is nothing new", async () => {
    expect(await takeIn()).toBe(null);
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    await takeIn();
    expect(await takeIn(theirs, 3)).toBe(null);
    await git(rig.forgeRepository, ["update-ref", ref(), base]);
    expect(await takeIn(theirs, 4)).toBe(null);
    await git(rig.forgeRepository, ["update-ref", "-d", ref()]);
    expect(await takeIn(theirs, 5)).toBe(null);
    expect(head()).toBe(theirs);
  });

  it("is theirs: it is not held back, and a run that adds nothing has nothing to publish", async () => {
    const theirs = await rig.commit(cell.branch, {
      ".gitea/workflows/ci.yml": "on: push\n",
      "token.txt": "sekrit-token-1234567890\n",
      "large.bin": "x".repeat(200_000),
    });
    const people = taken(await takeIn());
    const idle = await next("exit 0", people);
    expect(idle).toMatchObject({
      tip: theirs,
      commitCount: 1,
      forbidden: [],
      protectedPaths: [],
      heldBack: [],
    });
    const busy = await next("echo x >x.txt; git add .; git commit -qm x", people, 3);
    expect(busy).toMatchObject({ commitCount: 2, forbidden: [], protectedPaths: [], heldBack: [] });
    const evil = await next("mkdir -p .gitea; echo x >.gitea/x; git add .; git commit -qm evil", people, 4);
    expect(evil.protectedPaths).toEqual([".gitea/x decides what runs next"]);
  });

  it("may be a merge of the branch it is to go to, whose commits are nobody's of the cell", async () => {
    await rig.commit("main", { "main.txt": "1\n" });
    const main = await rig.commit("main", { "main.txt": "2\n" });
    const merge = await git(rig.forgeRepository, [
      ...["-c", "user.name=owner", "-c", "user.email=o@x", "commit-tree", "-p", ours, "-p", main],
      ...["-m", "Merge branch 'main'", `${main}^{tree}`],
    ]);
    await git(rig.forgeRepository, ["update-ref", ref(), merge.trim()]);
    const people = taken(await takeIn());
    expect(people).toMatchObject({ count: 3, isTaken: true });
    expect(people.commits.map((one) => one.subject)).toEqual(["Merge branch 'main'"]);
    const harvest = await next("echo x >x.txt; git add .; git commit -qm x", people);
    expect(harvest.commits.map((one) => one.subject)).toEqual(["x", "one"]);
  });

  it("stays beside what the agent has made since, and is at hand there to be merged", async () => {
    rig.inWorktree(cell, "echo b >b.txt; git add .; git commit -qm b");
    const before = head();
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    const people = taken(await takeIn());
    expect(people).toMatchObject({ isTaken: false, why: "the cell has commits that are not in it" });
    expect(head()).toBe(before);
    const apart = await next("echo c >c.txt; git add .; git commit -qm c", people);
    await push(apart.tip ?? "", ours);
    expect(rig.said("pushed").at(-1)).toMatchObject({
      branch: `${cell.branch}-2`,
      divertedFrom: cell.branch,
    });
    const merged = await next("git merge -q -m m refs/lazarus/people", people, 3);
    expect(merged.commits.map((one) => one.subject)).toEqual(["m", "c", "b", "one"]);
    await push(merged.tip ?? "", ours);
    expect(await onForge()).toBe(merged.tip);
    expect(await git(rig.forgeRepository, ["merge-base", theirs, ref()])).toBe(theirs);
  });

  it("is said where they rewrote the branch, and nothing of the cell is lost", async () => {
    const other = await rig.commit("other", { "other.txt": "o\n" });
    await git(rig.forgeRepository, ["update-ref", ref(), other]);
    const people = taken(await takeIn());
    expect(people).toMatchObject({ tip: other, isTaken: false });
    expect(head()).toBe(ours);
  });

  it("is never pushed over by a run that dropped it", async () => {
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    const people = taken(await takeIn());
    const harvest = await next(
      "git reset -q --hard HEAD^; echo x >x.txt; git add .; git commit -qm x",
      people,
    );
    await push(harvest.tip ?? "", theirs, theirs);
    expect(await onForge()).toBe(theirs);
    expect(rig.said("pushed").at(-1)).toMatchObject({ branch: `${cell.branch}-2` });
  });

  it("leaves what is uncommitted, and what is under way, as it is", async () => {
    const theirs = await rig.commit(cell.branch, { "one.txt": "theirs\n" });
    rig.inWorktree(cell, "echo mine >one.txt");
    expect(await takeIn()).toMatchObject({
      isTaken: false,
      why: expect.stringContaining("something uncommitted"),
    });
    expect([head(), read("one.txt")]).toEqual([ours, "mine\n"]);
    rig.inWorktree(cell, "git checkout -q one.txt; echo >.git/MERGE_HEAD");
    expect(await takeIn()).toMatchObject({
      isTaken: false,
      why: "a merge or rebase is under way in the cell",
    });
    rig.inWorktree(cell, "rm .git/MERGE_HEAD");
    expect(await takeIn()).toMatchObject({ isTaken: true, tip: theirs });
  });

  it("is taken by an attempt after one that was killed half-way", async () => {
    const theirs = await rig.commit(cell.branch, { "one.txt": "theirs\n", "new.txt": "new\n" });
    rig.inWorktree(cell, "echo theirs >one.txt; echo new >new.txt; touch .git/index.lock");
    expect(await takeIn()).toMatchObject({ isTaken: true });
    expect([head(), rig.inWorktree(cell, "git status --porcelain")]).toEqual([theirs, ""]);
    expect(await takeIn()).toMatchObject({ isTaken: true, from: ours, count: 1 });
  });

  it("runs nothing that the agent planted, with more than its rights", async () => {
    const out = `${rig.root}/planted`;
    rig.inWorktree(
      cell,
      `mkdir -p .git/hooks; for h in post-merge post-checkout reference-transaction; do
        printf '#!/bin/sh\\nid -u >>${out}\\n' >.git/hooks/$h; chmod +x .git/hooks/$h; done
      git config core.fsmonitor "id -u >>${out}"; git config core.hooksPath .git/hooks`,
    );
    await rig.commit(cell.branch, { "two.txt": "two\n" });
    expect(await takeIn()).toMatchObject({ isTaken: true });
    expect(existsSync(out)).toBe(false);
  });

  it("is no reason not to start where the cell's repository is of no use", async () => {
    await rig.commit(cell.branch, { "two.txt": "two\n" });
    rig.inWorktree(cell, "rm -rf .git; echo x >.git");
    expect(await takeIn()).toMatchObject({
      isTaken: false,
      why: "the cell's repository cannot be used (it is no directory)",
    });
    writeFileSync(rig.cellPath(cell, "worktree", "x"), "x");
  });

  it("is kept where the agent ruined its repository afterwards", async () => {
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    const people = taken(await takeIn());
    const harvest = await next("rm -rf .git; echo x >x.txt", people);
    expect(harvest.salvaged).toContain(".git was unusable");
    await push(harvest.tip ?? "", theirs, theirs);
    expect(await git(rig.forgeRepository, ["show", `${ref()}:two.txt`])).toBe("two");
    expect(rig.said("pushed").at(-1)).toMatchObject({ branch: cell.branch });
  });

  it("is not counted twice where two runs found it before it was merged", async () => {
    rig.inWorktree(cell, "echo b >b.txt; git add .; git commit -qm b");
    const theirs = await rig.commit(cell.branch, { "two.txt": "two\n" });
    await takeIn();
    rig.agent("git merge -q -m m refs/lazarus/people");
    await rig.runToEnd(cell, 2);
    const seam = { from: ours, to: theirs, isTaken: false };
    const harvest = await rig.collect(cell, 2, [seam, seam]);
    expect(harvest.commits.map((one) => one.subject)).toEqual(["m", "b", "one"]);
    expect([harvest.files, harvest.added, harvest.removed]).toEqual([2, 2, 0]);
  });

  it("is waited for where the forge does not answer, and not where it refuses", async () => {
    await rig.commit(cell.branch, { "two.txt": "two\n" });
    await rig.server.close();
    await expect(takeIn()).rejects.toMatchObject({ code: "forge-unreachable", retryable: true });
  });

  it("leaves nothing behind when the cell is destroyed", async () => {
    await rig.commit(cell.branch, { "two.txt": "two\n" });
    await takeIn();
    const refs = () =>
      execFileSync("git", ["for-each-ref", "refs/lazarus"], {
        cwd: `${rig.data}/mirrors/7.git`,
        encoding: "utf8",
      });
    expect(refs()).toContain(`refs/lazarus/${cell.id}/people`);
    await rig.perform("scrub", {
      cellId: cell.id,
      repository: cell.repository,
      user: cell.user,
      handle: null,
    });
    expect(rig.said("scrubbed")).toHaveLength(1);
    expect(refs()).toBe("");
  });
});
