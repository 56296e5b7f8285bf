import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createGit } from "../../../src/runner/git/git.ts";
import { createQuarantine } from "../../../src/runner/git/quarantine.ts";
import { deltaBomb } from "../../fakes/git-bombs.ts";

const root = mkdtempSync(join(tmpdir(), "lazarus-quarantine-"));
afterAll(() => rmSync(root, { recursive: true }));

const remote = { url: "http://127.0.0.1:9", token: "t", caFile: null, proxyEnv: {} };

/** A quarantine whose git may use so much memory, and what is needed to fill it. */
function under(memoryMb: number) {
  const home = join(root, `home-${memoryMb}`);
  mkdirSync(home);
  const limits = { memoryBytes: memoryMb * 1024 ** 2, mostMs: 60_000 };
  const git = createGit({ home, path: process.env.PATH ?? "", remote, redact: (text) => text, limits });
  const options = { git, bigFileBytes: 20 * 1024 ** 2, skipCi: false };
  return createQuarantine({ ...options, dir: join(root, `q-${memoryMb}`) });
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
