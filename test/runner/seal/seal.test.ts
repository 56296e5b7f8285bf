import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { mountsBelow, removeTree } from "../../../src/runner/disk/remove-tree.ts";
import { makeReadable } from "../../../src/runner/seal/make-readable.ts";
import { tryGit } from "../../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig, readJsonFile } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
let cell: CellSpec;

beforeAll(async () => {
  rig = await createRunnerRig();
  await rig.commit("main", { "a.txt": "one\n" });
  rig.agent("echo more >>a.txt; git commit -qam more");
});
beforeEach(async () => {
  rig.reports.length = 0;
  cell = rig.spec(await rig.commit("main", { "b.txt": `${Math.random()}\n` }));
  await rig.runToEnd(cell);
});
afterAll(() => rig.remove());

function seal(key?: string): Promise<void> {
  return rig.seal(cell, key);
}

function scrub(): Promise<void> {
  return rig.perform("scrub", {
    cellId: cell.id,
    repository: cell.repository,
    user: cell.user,
    handle: null,
  });
}

const mission = { status: "archived", members: [], history: [] };

it("seals a cell, links as links, and empties it", async () => {
  symlinkSync("/etc/passwd", rig.cellPath(cell, "worktree/link"));
  execFileSync("mkfifo", [rig.cellPath(cell, "worktree/pipe")]);
  await rig.collect(cell);
  await seal("first");
  const archive = rig.cellPath(cell, "archive");
  const manifest = readJsonFile(join(archive, "manifest.json")) as {
    files: { name: string; bytes: number; sha256: string }[];
  };
  for (const { name, bytes, sha256 } of manifest.files) {
    const content = readFileSync(join(archive, name));
    expect([name, content.length, createHash("sha256").update(content).digest("hex")]).toEqual([
      name,
      bytes,
      sha256,
    ]);
  }
  expect(rig.said("sealed")).toEqual([{ cellId: cell.id, bytes: manifest.files[0]?.bytes }]);
  const listed = execFileSync("tar", ["-tvzf", join(archive, "cell.tar.gz")], { encoding: "utf8" });
  expect(listed).toMatch(/worktree\/link -> \/etc\/passwd/);
  expect(listed).toMatch(/worktree\/\.git\/HEAD/);
  const verified = await tryGit(join(rig.data, "mirrors", "7.git"), [
    "bundle",
    "verify",
    join(archive, "branch.bundle"),
  ]);
  expect(verified.code).toBe(0);

  await rig.perform("prune", { cellId: cell.id, mission, run: null });
  expect(readdirSync(rig.cellPath(cell, "worktree"))).toEqual([]);
  expect(readdirSync(rig.cellPath(cell, "home"))).toEqual([]);
  expect(readJsonFile(rig.cellPath(cell, "meta/mission.json"))).toMatchObject({
    status: "archived",
    title: "Make it so",
  });
  expect(existsSync("/etc/passwd")).toBe(true);

  const before = readFileSync(join(archive, "cell.tar.gz"));
  await seal("first");
  expect(readFileSync(join(archive, "cell.tar.gz")).equals(before)).toBe(true);
});

async function headsOfBundle(): Promise<string> {
  return (await tryGit(tmpdir(), ["bundle", "list-heads", rig.cellPath(cell, "archive/branch.bundle")]))
    .stdout;
}

function bundleOf(): unknown {
  return readJsonFile(rig.cellPath(cell, "archive/manifest.json")).bundle;
}

it("bundles every ref of the tree and what HEAD points at, and nothing that the forge has", async () => {
  rig.inWorktree(
    cell,
    "git branch side && echo x >>a.txt && git stash -q && git tag -a -m t mine && git update-ref refs/odd/ref HEAD && git checkout -q --detach && echo y >>a.txt && git commit -qam detached",
  );
  const tip = rig.inWorktree(cell, "git rev-parse HEAD").trim();
  await seal();
  const names = (await headsOfBundle())
    .trim()
    .split("\n")
    .map((line) => line.split(" ")[1]);
  expect(names.sort()).toEqual(
    [
      "HEAD",
      "refs/heads/side",
      `refs/heads/${cell.branch}`,
      "refs/odd/ref",
      "refs/stash",
      "refs/tags/mine",
    ].sort(),
  );
  expect(await headsOfBundle()).toContain(`${tip} HEAD`);
  expect(bundleOf()).toEqual({ of: "worktree", why: null });
});

it("bundles the commit it started from where nothing was made", async () => {
  rig.inWorktree(cell, `git reset -q --hard ${cell.baseCommit}`);
  await seal();
  expect(await headsOfBundle()).toContain(cell.baseCommit);
  expect(bundleOf()).toEqual({ of: "base", why: "it has no commits of its own" });
});

it("bundles what the last run made where the cell's own repository cannot be used", async () => {
  const { tip } = await rig.collect(cell);
  rmSync(rig.cellPath(cell, "worktree/.git"), { recursive: true });
  symlinkSync("/etc", rig.cellPath(cell, "worktree/.git"));
  await seal();
  expect(await headsOfBundle()).toBe(`${tip} refs/lazarus/tip\n`);
  expect(bundleOf()).toEqual({ of: "last run", why: ".git was unusable (it is a link)" });
});

it("does not believe the cell's own git that the disk is full", async () => {
  rig.inWorktree(
    cell,
    "git config core.repositoryFormatVersion 1; git config extensions.objectFormat 'No space left on device'",
  );
  await seal();
  expect(bundleOf()).toMatchObject({ of: "base", why: expect.stringContaining(".git was unusable") });
});

it("runs nothing of the cell's with our rights when it bundles", async () => {
  const mark = join(rig.root, "ran");
  rig.inWorktree(
    cell,
    `printf '#!/bin/sh\\nid -u >>"${mark}"\\n' >.git/evil && chmod +x .git/evil && git config core.fsmonitor "$PWD/.git/evil" && git config core.sshCommand "$PWD/.git/evil" && git config uploadpack.packObjectsHook "$PWD/.git/evil"`,
  );
  await seal();
  expect(existsSync(mark)).toBe(false);
});

it("empties nothing that has no seal", async () => {
  await expect(rig.perform("prune", { cellId: cell.id, mission, run: null })).rejects.toMatchObject({
    code: "directory",
  });
  expect(existsSync(rig.cellPath(cell, "worktree/a.txt"))).toBe(true);
});

it("scrubs a cell to the last file, and nothing beyond it", async () => {
  const outside = join(rig.root, "outside");
  mkdirSync(outside, { mode: 0o755 });
  writeFileSync(join(outside, "keep"), "kept", { mode: 0o444 });
  symlinkSync(outside, rig.cellPath(cell, "worktree/link"));
  rmSync(rig.cellPath(cell, "home"), { recursive: true });
  symlinkSync(outside, rig.cellPath(cell, "home"));
  mkdirSync(rig.cellPath(cell, "worktree/cache/deep"), { recursive: true });
  writeFileSync(rig.cellPath(cell, "worktree/cache/deep/file\nname"), "");
  chmodSync(rig.cellPath(cell, "worktree/cache/deep"), 0o555);
  chmodSync(rig.cellPath(cell, "worktree/cache"), 0o000);
  await scrub();
  await scrub();
  expect(rig.said("scrubbed")).toHaveLength(2);
  expect(readdirSync(rig.missions).filter((name) => name.includes(cell.id))).toEqual([]);
  expect(readFileSync(join(outside, "keep"), "utf8")).toBe("kept");
  expect(statSync(outside).mode & 0o777).toBe(0o755);
  const refs = await tryGit(join(rig.data, "mirrors", "7.git"), ["for-each-ref", `refs/lazarus/${cell.id}`]);
  expect(refs.stdout).toBe("");
});

it("is not done with a cell of which something is left, and names it", async () => {
  const kept = `refs/lazarus/${cell.id}/more`;
  const mirror = join(rig.data, "mirrors", "7.git");
  expect((await tryGit(mirror, ["update-ref", kept, cell.baseCommit])).code).toBe(0);
  await expect(scrub()).rejects.toMatchObject({ code: "directory", retryable: true });
  await expect(scrub()).rejects.toThrow(`${kept} is still there`);
  expect(rig.said("scrubbed")).toEqual([]);
  await tryGit(mirror, ["update-ref", "-d", kept]);
  await scrub();
  expect(rig.said("scrubbed")).toHaveLength(1);
});

it("leaves nothing of a cell that was archived, being restored, in line to be published", async () => {
  await rig.collect(cell);
  await seal();
  mkdirSync(rig.cellPath(cell, ".restore/worktree"), { recursive: true });
  mkdirSync(join(rig.missions, `.new-${cell.id}`));
  mkdirSync(join(rig.data, "quarantine", cell.id), { recursive: true });
  await scrub();
  const found = execFileSync("find", [rig.root, "-name", `*${cell.id}*`], { encoding: "utf8" });
  expect(found).toBe("");
  const refs = await tryGit(join(rig.data, "mirrors", "7.git"), ["for-each-ref"]);
  expect(refs.stdout).not.toContain(cell.id);
});

it("ends what still lives in a cell before it scrubs it", async () => {
  rig.agent("while :; do sleep 0.1; done");
  const busy = rig.spec(cell.baseCommit);
  await rig.start(busy);
  await rig.perform("scrub", { cellId: busy.id, repository: busy.repository, user: busy.user, handle: null });
  expect(await rig.deps.backends.get("process")?.leftovers(busy.id, null)).toEqual([]);
  expect(existsSync(rig.cellPath(busy))).toBe(false);
  rig.agent("exit 0");
});

it("deletes a cell whose place was taken by a link, not what the link leads to", async () => {
  const outside = mkdtempSync(join(rig.root, "elsewhere-"));
  writeFileSync(join(outside, "keep"), "");
  rmSync(rig.cellPath(cell), { recursive: true });
  symlinkSync(outside, rig.cellPath(cell));
  await scrub();
  expect(existsSync(join(outside, "keep"))).toBe(true);
  expect(lstatSync(rig.cellPath(cell), { throwIfNoEntry: false })).toBeUndefined();
});

it("deletes a tree that is deeper than descriptors last", async () => {
  const top = join(rig.root, "deep");
  mkdirSync(top);
  execFileSync("sh", ["-c", "i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; : >f; i=$((i+1)); done"], {
    cwd: top,
  });
  await removeTree(rig.root, "deep");
  expect(existsSync(top)).toBe(false);
});

it("deletes a deep tree where something lies in its way", async () => {
  const top = rig.cellPath(cell, "worktree");
  for (const name of Array.from({ length: 40 }, (_, n) => `nest${n}`))
    mkdirSync(join(top, name, ...Array.from({ length: 80 }, () => "d")), { recursive: true });
  for (let n = 1; n <= 40; n++)
    mkdirSync(join(top, `.deep-${process.pid}-${n}`, "in", "the", "way"), { recursive: true });
  await removeTree(rig.cellPath(cell), "worktree");
  expect(existsSync(top)).toBe(false);
});

it("sees what is mounted below a directory", async () => {
  expect(await mountsBelow("/proc/self")).toEqual([]);
  expect(await mountsBelow("/proc")).toContain("/proc");
});

it("sweeps what an earlier process left, and only that", async () => {
  const other = crypto.randomUUID();
  for (const name of [`.new-${other}`, `.gone-${other}`, ".new-stranger", "file"])
    mkdirSync(join(rig.missions, name, "x"), { recursive: true });
  mkdirSync(join(rig.data, "quarantine", other), { recursive: true });
  mkdirSync(join(rig.data, "quarantine", cell.id), { recursive: true });
  await rig.runner.sweep([cell.id]);
  expect(readdirSync(rig.missions)).not.toContain(`.new-${other}`);
  expect(readdirSync(rig.missions)).not.toContain(`.gone-${other}`);
  expect(readdirSync(rig.missions)).toEqual(expect.arrayContaining([".new-stranger", "file", cell.id]));
  expect(readdirSync(join(rig.data, "quarantine"))).toEqual([cell.id]);
});

it("remembers how closed files were only as far as fits in memory, and opens all of them", async () => {
  const name = "\x01".repeat(250);
  const deep = rig.cellPath(cell, join("worktree", ...Array.from({ length: 12 }, () => name)));
  mkdirSync(deep, { recursive: true });
  const files = Array.from({ length: 2_200 }, (_, n) => join(deep, String(n)));
  for (const file of files) writeFileSync(file, "", { mode: 0 });
  const archive = rig.cellPath(cell, "archive");
  mkdirSync(archive, { recursive: true });
  await makeReadable(rig.cellPath(cell), ["worktree"]);
  expect(files.filter((file) => (lstatSync(file).mode & 0o400) === 0)).toEqual([]);
  expect(statSync(join(archive, "opened.jsonl")).size).toBeLessThanOrEqual(32 * 1024 ** 2);
});
