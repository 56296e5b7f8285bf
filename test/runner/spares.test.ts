import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asUser } from "../../src/backends/os/user.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";
import { needs } from "../machine.ts";

const FILES = { "a.txt": "a\n", "dir/b.txt": "b\n", "dir/deep/c.txt": "c\n" };

let rig: RunnerRig;
let base: string;

beforeEach(async () => {
  rig = await createRunnerRig();
  rig.agent("true");
  base = await rig.commit("main", FILES);
});
afterEach(() => rig.remove());

/** Has a tree wait for `next`, as control does after the first run of an earlier cell. */
async function spareFor(next: CellSpec, commit = next.baseCommit): Promise<void> {
  const { repository, user, baseRef: ref } = next;
  await rig.perform("spare", { cellId: crypto.randomUUID(), repository, user, ref, commit });
}

const waiting = () =>
  existsSync(rig.missions) ? readdirSync(rig.missions).filter((name) => name.startsWith(".new-")) : [];
const inodeOf = (...names: string[]) => lstatSync(join(rig.missions, ...names)).ino;
const journal = (cell: CellSpec) => readFileSync(rig.cellPath(cell, "logs", "daemon.log"), "utf8");
const isFromSpare = (cell: CellSpec) => journal(cell).includes('"from":"a tree that waited"');

/** All that git and the file system say of a worktree, but its times and its inodes. */
function stateOf(cell: CellSpec): string {
  return rig
    .inWorktree(
      cell,
      [
        "git symbolic-ref HEAD; git rev-parse HEAD; git for-each-ref; git ls-files -s; git status --porcelain --ignored",
        "git config --list --local; git fsck 2>&1",
        "find . -path ./.git -prune -o -printf '%P %m %u %y %l\\n' | sort",
        "cat .git/objects/info/alternates; ls -A .git; find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 cat",
      ].join("\n"),
    )
    .replaceAll(String(cell.user?.uid), "its own");
}

describe("a tree that waits", () => {
  it("becomes the next cell's, which is then as if it had been cloned", async () => {
    const branch = "lazarus/one";
    const fresh = rig.spec(base, { branch });
    await rig.runToEnd(fresh);
    const cell = rig.spec(base, { branch });
    await spareFor(cell);
    const [name = ""] = waiting();
    const inode = inodeOf(name, "worktree", "dir", "b.txt");
    await rig.runToEnd(cell);
    expect([isFromSpare(fresh), isFromSpare(cell)]).toEqual([false, true]);
    expect(inodeOf(cell.id, "worktree", "dir", "b.txt")).toBe(inode);
    expect(stateOf(cell)).toBe(stateOf(fresh));
    expect(stateOf(cell)).toContain(`${base}\n${base} commit\trefs/heads/lazarus/one\n`);
    expect(stateOf(cell)).toContain("dir/b.txt 644 its own f");
    expect(waiting()).toEqual([]);
  });

  it("is moved to the commit that is asked for, by what differs", async () => {
    const later = await rig.commit("main", { "a.txt": "changed\n", "dir/b.txt": "b\n", "new/d.txt": "d\n" });
    const branch = "lazarus/one";
    const fresh = rig.spec(later, { branch });
    await rig.runToEnd(fresh);
    for (const commit of [base, later]) {
      const cell = rig.spec(later, { branch });
      await spareFor(cell, commit);
      const [name = ""] = waiting();
      const inode = inodeOf(name, "worktree", "dir", "b.txt");
      await rig.runToEnd(cell);
      expect(inodeOf(cell.id, "worktree", "dir", "b.txt")).toBe(inode);
      expect(stateOf(cell)).toBe(stateOf(fresh));
    }
  });

  it("is of no use where attributes say that files are written in another way", async () => {
    const later = await rig.commit("main", { ...FILES, ".gitattributes": "*.txt eol=crlf\n" });
    const cell = rig.spec(later);
    await spareFor(cell, base);
    await rig.runToEnd(cell);
    expect(isFromSpare(cell)).toBe(false);
    expect(rig.inWorktree(cell, "cat dir/b.txt")).toBe("b\r\n");
    expect(waiting()).toEqual([]);
  });

  it("that is damaged costs no cell", async () => {
    const cell = rig.spec(base);
    await spareFor(cell);
    const [name = ""] = waiting();
    renameSync(join(rig.missions, name, "worktree", ".git"), join(rig.missions, name, "elsewhere"));
    await rig.runToEnd(cell);
    expect(isFromSpare(cell)).toBe(false);
    expect(rig.inWorktree(cell, "cat dir/b.txt; git status --porcelain")).toBe("b\n");
    expect(waiting()).toEqual([]);
  });

  it("is for its own repository, and replaced by one of a later commit", async () => {
    const [cell, other] = [rig.spec(base), rig.spec(base, { repository: { id: 8, fullName: "acme/app" } })];
    await spareFor(other);
    await rig.runToEnd(cell);
    expect(isFromSpare(cell)).toBe(false);
    expect(waiting()).toHaveLength(1);
    const [before] = waiting();
    await spareFor(other);
    expect(waiting()).toEqual([before]);
    await spareFor(other, await rig.commit("main", { "a.txt": "later\n" }));
    expect(waiting()).toHaveLength(1);
    expect(waiting()).not.toEqual([before]);
  });

  it("waits beside no more than limits.spares others: the oldest goes", async () => {
    const cells = [8, 9, 10].map((id) => rig.spec(base, { repository: { id, fullName: "acme/app" } }));
    for (const cell of cells) await spareFor(cell);
    expect(waiting()).toHaveLength(2);
    for (const cell of cells) await rig.runToEnd(cell);
    expect(cells.map(isFromSpare)).toEqual([false, true, true]);
  });

  it("is not made where none may wait, and gives its room to a run on a full disk", async () => {
    const cell = rig.spec(base);
    const { config } = rig.deps;
    rig.restart({ config: { ...config, limits: { ...config.limits, spares: 0 } } });
    await spareFor(cell);
    expect(waiting()).toEqual([]);
    rig.restart({ config });
    await spareFor(cell);
    expect(waiting()).toHaveLength(1);
    // Nothing else fits: a disk that has less free than may be is as good as full.
    Object.assign(config.limits, { freeBytes: Number.MAX_SAFE_INTEGER });
    await expect(rig.start(cell)).rejects.toThrow(/are free under .*limits\.free/);
    expect(waiting()).toEqual([]);
    await spareFor(cell);
    expect(waiting()).toEqual([]);
  });

  it("is gone after a restart, and what was half made as well", async () => {
    const cell = rig.spec(base);
    await spareFor(cell);
    const [name = ""] = waiting();
    rig.restart();
    await rig.runner.sweep([]);
    expect(waiting()).toEqual([]);
    await spareFor(cell, "0".repeat(40));
    expect(rig.said("spare-made")).toHaveLength(2);
    expect(waiting()).toEqual([]);
    expect(name).toMatch(/^\.new-[0-9a-f-]{36}$/);
    await rig.runToEnd(cell);
    expect(isFromSpare(cell)).toBe(false);
  });
});

describe("its user", needs("root"), () => {
  it("owns the files, may not enter while it waits, and is nobody else's", async () => {
    const cell = rig.spec(base);
    await spareFor(cell);
    const [name = ""] = waiting();
    const tree = join(rig.missions, name, "worktree");
    expect(lstatSync(join(tree, "dir", "b.txt")).uid).toBe(cell.user?.uid);
    const { mode, uid, gid } = lstatSync(join(rig.missions, name));
    expect([mode & 0o777, uid, gid]).toEqual([0o700, 0, 0]);
    const [program = "", ...words] = asUser(cell.user, ["ls", tree]);
    expect(() => execFileSync(program, words, { stdio: "pipe" })).toThrow(/Permission denied/);
    const other = rig.spec(base);
    await rig.runToEnd(other);
    expect(isFromSpare(other)).toBe(false);
    await rig.runToEnd(cell);
    expect(isFromSpare(cell)).toBe(true);
  });

  it("is never root", async () => {
    await spareFor(rig.spec(base, { user: null }));
    expect(waiting()).toEqual([]);
  });
});
