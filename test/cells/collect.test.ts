import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../src/queue/shapes.ts";
import { git, gitEnvironment } from "../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../fakes/runner-rig.ts";

let rig: RunnerRig;
let base: string;
let cell: CellSpec;

beforeAll(async () => {
  rig = await createRunnerRig();
  await rig.commit("main", { "a.txt": "none\n" });
  base = await rig.commit("main", { "a.txt": "one\n", "b.txt": "two\n" });
  rig.agent("exit 0");
});
beforeEach(async () => {
  cell = rig.spec(base);
  await rig.runToEnd(cell);
});
afterAll(() => rig.remove());

function show(what: string): Promise<string> {
  return git(join(rig.data, "quarantine", cell.id, "repository.git"), ["show", what]);
}

it("finds nothing where nothing was changed", async () => {
  expect(await rig.collect(cell)).toMatchObject({
    changed: false,
    tip: null,
    commits: [],
    heldBack: [],
    salvaged: null,
  });
  expect(existsSync(join(rig.data, "quarantine", cell.id))).toBe(false);
});

it("commits what was left uncommitted over what was committed", async () => {
  rig.inWorktree(cell, "echo x >a.txt; git commit -qam first; echo y >new.txt; rm b.txt");
  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({
    changed: true,
    hadUncommitted: true,
    commitCount: 2,
    files: 3,
    added: 2,
    removed: 2,
  });
  expect(harvest.commits.map((commit) => commit.subject)).toEqual([
    "wip: left uncommitted by allegro",
    "first",
  ]);
  expect(await show("refs/lazarus/tip:new.txt")).toBe("y");
});

it("takes what HEAD points at, whatever the branch is called, and needs no lock to be free", async () => {
  rig.inWorktree(
    cell,
    "git checkout -q --detach; echo x >a.txt; git commit -qam detached; echo y >b.txt; touch .git/index.lock .git/HEAD.lock",
  );
  expect(await rig.collect(cell)).toMatchObject({ commitCount: 2, hadUncommitted: true, salvaged: null });
});

it("photographs an unfinished merge and leaves it as it is", async () => {
  rig.inWorktree(
    cell,
    "git checkout -qb other; echo x >a.txt; git commit -qam x; git checkout -q -; echo y >a.txt; git commit -qam y; git merge other || true",
  );
  const before = rig.inWorktree(cell, "git status --porcelain; git rev-parse HEAD");
  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({ unfinished: "merge", hadUncommitted: true, commitCount: 2 });
  expect(await show("refs/lazarus/tip:a.txt")).toContain("<<<<<<<");
  expect(rig.inWorktree(cell, "git status --porcelain; git rev-parse HEAD")).toBe(before);
});

it("runs no hook, no fsmonitor, and gives a filter neither token nor the bot's environment", async () => {
  rig.inWorktree(
    cell,
    `for hook in pre-commit post-commit prepare-commit-msg reference-transaction; do mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch "$HOME/hook"\\n' >.git/hooks/$hook; chmod +x .git/hooks/$hook; done
     printf '#!/bin/sh\\ntouch "$HOME/monitor"\\n' >mon; chmod +x mon; git config core.fsmonitor ./mon; git config core.hooksPath .git/hooks
     git config filter.x.clean 'env >"$HOME/filter-env"; cat'; echo '*.txt filter=x' >.gitattributes; echo z >a.txt`,
  );
  expect(await rig.collect(cell)).toMatchObject({ changed: true, heldBack: [] });
  expect(existsSync(rig.cellPath(cell, "home/allegro/hook"))).toBe(false);
  expect(existsSync(rig.cellPath(cell, "home/allegro/monitor"))).toBe(false);
  const seen = readFileSync(rig.cellPath(cell, "home/allegro/filter-env"), "utf8");
  expect(seen).toContain(`LAZARUS_CELL=${cell.id}`);
  expect(seen).not.toContain(TOKEN);
});

const REPLACED: [string, string, string][] = [
  ["gone", "rm -rf .git", "it is gone"],
  ["a file", "rm -rf .git; echo 'gitdir: /etc' >.git", "it is a file"],
  ["a link", "mv .git ../artifacts/elsewhere; ln -s ../artifacts/elsewhere .git", "it is a link"],
  ["a fifo", "rm -rf .git; mkfifo .git", "it is no directory"],
  [
    "another repository",
    "rm -rf .git; git init -q; git add -A; git commit -qm own",
    "it does not hold the base commit",
  ],
  ["an orphan", "git checkout -q --orphan empty", "its HEAD leads to no commit"],
];
it.each(REPLACED)("commits the bare files over the base where .git is %s", async (_, script, why) => {
  rig.inWorktree(cell, `echo kept >new.txt; rm b.txt; mkfifo pipe; ln -s /etc/passwd link; ${script}`);
  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({
    changed: true,
    salvaged: `.git was unusable (${why}), so the files of the tree were committed over the base`,
    heldBack: [],
    commitCount: 1,
  });
  expect(await show("refs/lazarus/tip:new.txt")).toBe("kept");
  expect(await show("refs/lazarus/tip:link")).toBe("/etc/passwd");
  await expect(show("refs/lazarus/tip:pipe")).rejects.toThrow();
  await expect(show("refs/lazarus/tip:b.txt")).rejects.toThrow();
});

it("takes what it can where git would refuse the whole tree", async () => {
  rig.inWorktree(cell, "echo kept >new.txt; mkdir sub; cd sub; git init -q");
  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({ changed: true, heldBack: [] });
  expect(harvest.salvaged).toMatch(/not every file could be taken: .*sub/);
  expect(await show("refs/lazarus/tip:new.txt")).toBe("kept");
});

it("holds back a rewritten history, one moved back, and a worktree that is a link", async () => {
  rig.inWorktree(cell, "git commit -q --amend -m other --allow-empty");
  expect((await rig.collect(cell)).heldBack).toEqual([
    expect.stringContaining("does not contain the commit the cell started from"),
  ]);

  rig.inWorktree(cell, `git reset -q --hard ${base}~1`);
  expect(await rig.collect(cell)).toMatchObject({
    tip: null,
    heldBack: [expect.stringContaining("HEAD was moved back")],
  });

  rmSync(rig.cellPath(cell, "worktree"), { recursive: true });
  symlinkSync("/etc", rig.cellPath(cell, "worktree"));
  expect(await rig.collect(cell)).toMatchObject({
    changed: true,
    tip: null,
    heldBack: [expect.stringContaining("a link")],
  });
});

it("holds back files that are too large, in whatever commit they are", async () => {
  rig.inWorktree(
    cell,
    "head -c 200000 /dev/urandom >big.bin; git add -A; git commit -qm big; git rm -q big.bin; git commit -qm smaller; echo x >small.txt",
  );
  const harvest = await rig.collect(cell);
  expect(harvest.heldBack).toEqual(["big.bin is 0.2 MB, larger than 0.1 MB (publish.max_file)"]);
  expect(harvest.tip).not.toBeNull();
});

it("holds back objects that git's own check refuses", async () => {
  const blob = rig.inWorktree(cell, "git rev-parse HEAD:a.txt").trim();
  const entry = Buffer.concat([Buffer.from("100644 .git\0"), Buffer.from(blob, "hex")]);
  writeFileSync(rig.cellPath(cell, "worktree/.git/evil"), entry);
  rig.inWorktree(
    cell,
    "tree=$(git hash-object -t tree -w --literally .git/evil); git update-ref HEAD $(git commit-tree $tree -p HEAD -m evil)",
  );
  const harvest = await rig.collect(cell);
  expect(harvest).toMatchObject({ tip: null, changed: true });
  expect(harvest.heldBack).toEqual([expect.stringMatching(/git's own check refuses .*hasDotgit/)]);
  expect(existsSync(rig.cellPath(cell, "archive/collected.bundle"))).toBe(true);
});

it("reads the newest report without following links, redacted, and the end of the log", async () => {
  const reports = rig.cellPath(cell, "artifacts/reports");
  writeFileSync(join(reports, "a.md"), `hello ${TOKEN}\n`);
  symlinkSync("/etc/passwd", join(reports, "b.md"));
  execFileSync("mkfifo", [join(reports, "c.md")], { env: gitEnvironment() });
  writeFileSync(rig.cellPath(cell, "logs/allegro-1.log"), `${"x".repeat(10_000)}\nthe end ${TOKEN}\n`);
  const harvest = await rig.collect(cell);
  expect(harvest.report).toBe("hello [redacted]\n");
  expect(harvest.logTail).toMatch(/x\nthe end \[redacted\]\n$/);
  expect(harvest.logTail.length).toBe(4096);
  rmSync(reports, { recursive: true });
  symlinkSync("/etc", reports);
  expect((await rig.collect(cell)).report).toBeNull();
});
