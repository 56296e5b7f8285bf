import { execFileSync, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import type { LazarusError } from "../../../src/errors.ts";
import { createGit } from "../../../src/runner/git/git.ts";
import { createQuarantine } from "../../../src/runner/git/quarantine.ts";
import { deltaBomb } from "../../fakes/git-bombs.ts";
import { needs } from "../../machine.ts";

const root = mkdtempSync(join(tmpdir(), "lazarus-quarantine-"));
afterAll(() => rmSync(root, { recursive: true }));

const remote = { url: "http://127.0.0.1:9", token: "t", caFile: null, proxyEnv: {} };

/** A quarantine whose git may use so much memory, and what is needed to fill it. */
function under(memoryMb: number, dir = join(root, `q-${memoryMb}`)) {
  const home = join(root, `home-${memoryMb}`);
  mkdirSync(home, { recursive: true });
  const limits = { memoryBytes: memoryMb * 1024 ** 2, fileBytes: 1024 ** 3, mostMs: 60_000 };
  const git = createGit({ home, path: process.env.PATH ?? "", remote, redact: (text) => text, limits });
  const options = { git, bigFileBytes: 20 * 1024 ** 2, skipCi: false };
  return createQuarantine({ ...options, dir });
}

it("takes no delta in that stands for more memory than one look may use, and does not try again", async () => {
  const mirror = join(root, "mirror.git");
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", mirror, "-c", "user.name=a", "-c", "user.email=a@b.c", ...args], {
      encoding: "utf8",
    }).trim();
  execFileSync("git", ["init", "-q", "--bare", mirror]);
  const base = git("commit-tree", "-m", "base", "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
  const bomb = deltaBomb(base, 10);
  expect(bomb.bundle.length).toBeLessThan(20_000);
  const admit = async (memoryMb: number) => {
    const quarantine = under(memoryMb);
    writeFileSync(await quarantine.prepare("c"), bomb.bundle);
    return quarantine.admit({ cellId: "c", mirror, baseCommit: base });
  };
  await expect(admit(64)).rejects.toMatchObject({
    code: "over-limit",
    retryable: false,
    message: "looking at what cell c made: it needs more than 64 MB of memory (limits.confined)",
  });
  expect(await admit(1024)).toMatchObject({ tip: bomb.tip });
});

describe("on a disk without room for another file", needs("root"), () => {
  it("says so, wherever git comes to its end, and finds no fault with the commits", async ({ skip }) => {
    const mirror = join(root, "plain.git");
    const bundle = join(root, "plain.bundle");
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", mirror, "-c", "user.name=a", "-c", "user.email=a@b.c", ...args], {
        encoding: "utf8",
      }).trim();
    execFileSync("git", ["init", "-q", "--bare", mirror]);
    const base = git("commit-tree", "-m", "base", git("mktree", "--missing"));
    const tip = git("commit-tree", "-m", "made", "-p", base, `${base}^{tree}`);
    git("update-ref", "refs/lazarus/tip", tip);
    git("bundle", "create", "-q", bundle, "refs/lazarus/tip");
    const small = join(root, "small");
    mkdirSync(small);
    const options = ["-t", "tmpfs", "-o", "size=4m,nr_inodes=64"];
    if (spawnSync("mount", [...options, "tmpfs", small]).status !== 0) skip("a file system of its own");
    onTestFinished(() => void execFileSync("umount", [small]));
    const quarantine = under(1024, small);
    const seen = new Set<string>();
    for (let files = 0; files < 40; files++) {
      const path = await quarantine.prepare("c");
      writeFileSync(path, readFileSync(bundle));
      const { ffree } = statfsSync(small);
      for (let n = files; n < ffree; n++) writeFileSync(join(small, `taken-${n}`), "");
      const came = await quarantine.admit({ cellId: "c", mirror, baseCommit: base }).then(
        (admitted) => admitted.tip ?? `refused: ${"why" in admitted ? admitted.why : ""}`,
        (error: LazarusError) => error.code,
      );
      seen.add(came);
      for (const name of readdirSync(small)) if (name.startsWith("taken-")) rmSync(join(small, name));
    }
    expect([...seen].sort()).toEqual([tip, "disk-full", "ENOSPC"].sort());
  });
});
