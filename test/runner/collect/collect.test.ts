import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { git, gitEnvironment } from "../../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../../fakes/runner-rig.ts";

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
  writeFileSync(
    rig.cellPath(cell, "logs/allegro-1.log"),
    `${`${"x".repeat(99)}\n`.repeat(100)}the end ${TOKEN}\n`,
  );
  const harvest = await rig.collect(cell);
  expect(harvest.report).toBe("hello [redacted]\n");
  expect(harvest.logTail).toMatch(/x\nthe end \[redacted\]\n$/);
  expect(harvest.logTail.length).toBe(4096);
  rmSync(reports, { recursive: true });
  symlinkSync("/etc", reports);
  expect((await rig.collect(cell)).report).toBeNull();
});

const clean = () => rig.inWorktree(cell, "git status --porcelain");
const subjects = (what = "HEAD") =>
  rig.inWorktree(cell, `git log --format=%s ${base}..${what}`).trim().split("\n");

/** What git then says in the words of a disk that is full. */
const FULL =
  "git config core.repositoryFormatVersion 1; git config extensions.objectFormat 'No space left on device'";

describe("what the next run finds", () => {
  it("is a tree with nothing uncommitted, on the cell's branch, by the agent's own name", async () => {
    rig.inWorktree(cell, "echo x >a.txt; echo y >new.txt; git add new.txt; mkdir d; echo z >d/z; rm b.txt");
    await rig.collect(cell);
    expect(clean()).toBe("");
    expect(subjects()).toEqual(["wip: left uncommitted by allegro"]);
    expect(rig.inWorktree(cell, "git log -1 --format='%an <%ae> %cn <%ce>'")).toBe(
      "allegro <allegro@lazarus.invalid> allegro <allegro@lazarus.invalid>\n",
    );
    expect(rig.inWorktree(cell, "git symbolic-ref HEAD")).toBe(`refs/heads/${cell.branch}\n`);
  });

  it("is one commit, however often it was looked at, and killed in the middle of it", async () => {
    rig.inWorktree(cell, "echo x >a.txt; touch .git/index.lock .git/HEAD.lock .git/refs/heads/main.lock");
    const first = await rig.collect(cell);
    expect(first.hadUncommitted).toBe(true);
    rig.inWorktree(cell, "touch .git/index.lock");
    const again = await rig.collect(cell);
    expect(again).toMatchObject({ tip: first.tip, commitCount: 1, hadUncommitted: true });
  });

  it("is the cell's branch where HEAD had left it for something newer", async () => {
    rig.inWorktree(cell, "git checkout -q --detach; echo x >a.txt; git commit -qam detached; echo y >b.txt");
    const { tip } = await rig.collect(cell);
    expect(rig.inWorktree(cell, `git symbolic-ref HEAD; git rev-parse ${cell.branch}`)).toBe(
      `refs/heads/${cell.branch}\n${tip}\n`,
    );
  });

  it("keeps a detached HEAD that went another way than the branch, under a name", async () => {
    rig.inWorktree(
      cell,
      `echo x >a.txt; git commit -qam one; git checkout -q --detach ${base}; echo y >b.txt`,
    );
    const { tip } = await rig.collect(cell);
    expect(subjects(cell.branch)).toEqual(["one"]);
    expect(rig.inWorktree(cell, "git rev-parse refs/lazarus/wip/1")).toBe(`${tip}\n`);
  });

  it("is the unfinished rebase as it was, with its photograph under a name", async () => {
    rig.inWorktree(
      cell,
      "git checkout -qb other; echo x >a.txt; git commit -qam x; git checkout -q -; echo y >a.txt; git commit -qam y; git rebase other || true",
    );
    const { unfinished, tip } = await rig.collect(cell);
    expect(unfinished).toBe("rebase");
    expect(clean()).toContain("UU a.txt");
    expect(await show(`${tip}:a.txt`)).toContain("<<<<<<<");
    expect(rig.inWorktree(cell, "git rev-parse refs/lazarus/wip/1")).toBe(`${tip}\n`);
    rig.inWorktree(cell, "echo both >a.txt; git add a.txt; GIT_EDITOR=true git rebase --continue");
    expect(subjects()).toEqual(["y", "x"]);
  });

  it("is an index made anew where a power cut left half of one", async () => {
    rig.inWorktree(
      cell,
      "echo x >a.txt; echo n >new.txt; git add new.txt; head -c 20 .git/index >.git/i; mv .git/i .git/index",
    );
    const harvest = await rig.collect(cell);
    expect(harvest).toMatchObject({ salvaged: null, hadUncommitted: true, commitCount: 1, files: 2 });
    expect(clean()).toBe("");
  });

  it("is what can be had where the cell's own git claims that the disk is full", async () => {
    rig.inWorktree(cell, `echo kept >new.txt; ${FULL}`);
    expect(await rig.collect(cell)).toMatchObject({
      salvaged: expect.stringContaining(".git was unusable"),
      files: 1,
    });
  });

  it.each(REPLACED)("is a repository that can be used, where .git was %s", async (what, script) => {
    rig.inWorktree(cell, `echo kept >new.txt; ${script}`);
    const { tip } = await rig.collect(cell);
    expect(rig.inWorktree(cell, "git rev-parse HEAD; git symbolic-ref HEAD")).toBe(
      `${tip}\nrefs/heads/${cell.branch}\n`,
    );
    expect(clean()).toBe("");
    const aside = rig
      .inWorktree(cell, "ls -A")
      .split("\n")
      .filter((name) => name.startsWith(".git."));
    expect(aside).toEqual(what === "gone" ? [] : [".git.unusable-1"]);
    rig.inWorktree(cell, "echo more >more.txt; git add -A; git commit -qm more");
    expect(await rig.collect(cell, 2)).toMatchObject({ salvaged: null, commitCount: 2, files: 2 });
    expect(await show("refs/lazarus/tip:more.txt")).toBe("more");
  });

  it("is made again where it was killed while it was replaced", async () => {
    rig.inWorktree(cell, "echo kept >new.txt; mv .git .git.unusable-1; git init -q --bare .git.lazarus-new");
    await rig.collect(cell);
    expect(clean()).toBe("");
    expect(rig.inWorktree(cell, "ls -A").split("\n")).not.toContain(".git.lazarus-new");
    expect(subjects()).toEqual(["wip: left by allegro, whose .git was unusable"]);
  });

  it("is the repository it had, where that was only slow", async () => {
    rig.inWorktree(
      cell,
      "echo '*.txt filter=slow' >.gitattributes; git config filter.slow.clean 'kill -9 $PPID'; echo x >a.txt",
    );
    const head = rig.inWorktree(cell, "git rev-parse HEAD");
    await rig.collect(cell);
    expect(rig.inWorktree(cell, "git rev-parse HEAD; ls -A | grep -c unusable || true")).toBe(`${head}0\n`);
  });
});

describe("what a run says of itself", () => {
  const write = (name: string, text: string) => writeFileSync(rig.cellPath(cell, "artifacts", name), text);

  it("is a question, redacted and cut", async () => {
    write("question.md", `Which one, ${TOKEN}?\u001b[31m\n`);
    expect((await rig.collect(cell)).question).toBe("Which one, [redacted]?");
    write("question.md", "q".repeat(100_000));
    expect((await rig.collect(cell)).question).toMatch(/^q{4096}\n…$/);
  });

  it("is a question in a heartbeat, where there is no file", async () => {
    write("heartbeat.json", JSON.stringify({ state: "asks", message: "This or that?" }));
    expect((await rig.collect(cell)).question).toBe("This or that?");
    write("heartbeat.json", JSON.stringify({ state: "working", message: "This or that?" }));
    expect((await rig.collect(cell)).question).toBeNull();
    for (const text of ["{", "[]", '{"state":"asks"}', '{"state":"asks","message":7}', ""]) {
      write("heartbeat.json", text);
      expect((await rig.collect(cell)).question).toBeNull();
    }
  });

  it("is no question of an earlier run, nor one that is empty, a link, a fifo or a directory", async () => {
    const path = rig.cellPath(cell, "artifacts/question.md");
    const ask = async () => (await rig.collect(cell)).question;
    write("question.md", " \n");
    expect(await ask()).toBeNull();
    rmSync(path);
    symlinkSync("/etc/passwd", path);
    expect(await ask()).toBeNull();
    rmSync(path);
    execFileSync("mkfifo", [path], { env: gitEnvironment() });
    expect(await ask()).toBeNull();
    rmSync(path);
    mkdirSync(path);
    expect(await ask()).toBeNull();
  });

  it("is in the end of its log", async () => {
    writeFileSync(
      rig.cellPath(cell, "logs/allegro-1.log"),
      `${"x".repeat(200_000)}\nInvalid API key ${TOKEN}\n`,
    );
    const { signs } = await rig.collect(cell);
    expect(signs).toMatchObject({ login: "Invalid API key [redacted]", quota: null, isRebooted: false });
  });
});
