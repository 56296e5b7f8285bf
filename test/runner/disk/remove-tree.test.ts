import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { removeLittle } from "../../../src/runner/disk/empty-tree.ts";
import { removeTree } from "../../../src/runner/disk/remove-tree.ts";
import { openDirectory } from "../../../src/runner/disk/safe-files.ts";
import { WORKER_PROGRAM } from "../../../src/runner/programs.ts";
import { callsDuring } from "../../fakes/calls-during.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-remove-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("works through little that an agent left by itself, and has a child do the rest", async () => {
  const path = crowd("tree", 1_000);
  expect(removeLittle(dir, "tree")).toBe(false);
  expect(readdirSync(path).length).toBeGreaterThan(500);
  expect(await callsDuring(() => removeTree(dir, "tree"))).toBeLessThan(50);
  expect(existsSync(path)).toBe(false);
});

it("removes by itself no file whose end may take long", () => {
  mkdirSync(join(dir, "tree"));
  writeFileSync(join(dir, "tree", "large"), Buffer.alloc(17 * 1024 ** 2, "x"));
  expect(removeLittle(dir, "tree")).toBe(false);
  expect(readdirSync(join(dir, "tree"))).toEqual(["large"]);
});

it("reads by itself no directory that is large, whatever is left in it", () => {
  const path = crowd("tree", 20_000);
  expect(removeLittle(dir, "tree")).toBe(false);
  expect(readdirSync(path)).toHaveLength(20_000);
  mkdirSync(join(dir, "above"));
  renameSync(path, join(dir, "above", "tree"));
  expect(removeLittle(dir, "above")).toBe(false);
  expect(readdirSync(join(dir, "above", "tree"))).toHaveLength(20_000);
});

it("leaves to a child what takes longer than it may", () => {
  const path = crowd("tree", 100);
  let ms = 0;
  expect(removeLittle(dir, "tree", () => ms++)).toBe(false);
  expect(readdirSync(path).length).toBeGreaterThan(0);
});

it("removes what is little without a child, in the same way", async () => {
  const path = join(dir, "tree");
  mkdirSync(join(path, "deep/".repeat(100)), { recursive: true });
  for (const name of ["a", "b"]) writeFileSync(join(path, "deep", name), name);
  chmodSync(join(path, "deep"), 0);
  const still = () => 0;
  expect(removeLittle(dir, "tree", still)).toBe(true);
  expect(existsSync(path)).toBe(false);
});

it("removes names of every kind, also below a directory that is given by its descriptor", async () => {
  const script = `mkdir -- -rf && cd -- -rf && : >"$(printf 'l\\344st')" && : >-x && mkdir "$(printf 'new\\nline')"`;
  execFileSync("sh", ["-c", script], { cwd: dir });
  const parent = await openDirectory(dir);
  await removeTree(`/proc/self/fd/${parent.fd}`, "-rf");
  await parent.close();
  expect(existsSync(join(dir, "-rf"))).toBe(false);
});

it("removes a link and what it is found below, and nothing that it leads to", async () => {
  mkdirSync(join(dir, "outside"));
  writeFileSync(join(dir, "outside", "keep"), "");
  mkdirSync(join(dir, "tree"));
  for (const name of ["link", "tree/link"]) symlinkSync(join(dir, "outside"), join(dir, name));
  await removeTree(dir, "link");
  await removeTree(dir, "tree");
  await removeTree(dir, "missing");
  expect(existsSync(join(dir, "outside", "keep"))).toBe(true);
  expect(lstatSync(join(dir, "link"), { throwIfNoEntry: false })).toBeUndefined();
});

it("enters no other file system, and says which one to unmount", async ({ skip }) => {
  const at = join(dir, "tree", "deep", "mounted");
  mkdirSync(at, { recursive: true });
  if (spawnSync("mount", ["-t", "tmpfs", "tmpfs", at]).status !== 0) skip("a file system of its own");
  try {
    writeFileSync(join(at, "keep"), "");
    await expect(removeTree(dir, "tree")).rejects.toMatchObject({
      ...{ code: "directory", retryable: true },
      message: `deleting ${at}: it is another file system; unmount it first`,
    });
    expect(existsSync(join(at, "keep"))).toBe(true);
  } finally {
    execFileSync("umount", ["-l", at]);
  }
});

it("is done by a child that ends with whoever started it", () => {
  const { status } = spawnSync(process.execPath, [WORKER_PROGRAM, "remove"], { input: "" });
  expect(status).toBe(1);
});

/** A directory of so many names, all of one file. */
function crowd(name: string, names: number): string {
  const path = join(dir, name);
  mkdirSync(path);
  writeFileSync(join(path, "0"), "");
  for (let n = 1; n < names; n++) linkSync(join(path, "0"), join(path, String(n)));
  return path;
}

it("counts as done what others remove meanwhile, as one does whose parent was killed", async () => {
  crowd("tree", 30_000);
  mkdirSync(join(dir, "tree", "deep/".repeat(200)), { recursive: true });
  await Promise.all(Array.from({ length: 4 }, () => removeTree(dir, "tree")));
  expect(existsSync(join(dir, "tree"))).toBe(false);
});

it("ends in the middle of a large directory where whoever started it is gone", async () => {
  const path = crowd("tree", 2_000);
  const child = spawn(process.execPath, [WORKER_PROGRAM, "remove"], { cwd: dir });
  // Some other process: its own parent would be this one.
  child.stdin.write(`${JSON.stringify({ name: "tree", parent: process.ppid })}\n`);
  expect(await once(child, "close")).toEqual([1, null]);
  const left = readdirSync(path).length;
  expect([left > 0, left < 2_000]).toEqual([true, true]);
});
