import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createGit, TOO_MUCH } from "../../../src/runner/git/git.ts";

const home = mkdtempSync(join(tmpdir(), "lazarus-git-"));
const remote = { url: "http://127.0.0.1:9", token: "t", caFile: null, proxyEnv: {} };
const limits = { memoryBytes: 1024 ** 3, mostMs: 60_000 };
const git = createGit({ home, path: process.env.PATH ?? "", remote, redact: (text) => text, limits });

afterAll(() => rmSync(home, { recursive: true }));

it("answers all that was printed, also what is read long after the exit", async () => {
  const bin = join(home, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "git"), "#!/bin/sh\n(sleep 0.3; echo late) & echo early\n", { mode: 0o755 });
  const slow = createGit({
    home,
    path: `${bin}:${process.env.PATH}`,
    remote,
    redact: (text) => text,
    limits,
  });
  const end = await slow({ dir: home, args: ["status"], doing: "printing late" });
  expect(end).toEqual({ code: 0, stdout: "early\nlate\n", stderr: "" });
});

it("ends what prints without end, and does not try again", async () => {
  const bin = join(home, "endless");
  mkdirSync(bin);
  writeFileSync(join(bin, "git"), "#!/bin/sh\nexec cat /dev/zero\n", { mode: 0o755 });
  const endless = createGit({
    home,
    path: `${bin}:${process.env.PATH}`,
    remote,
    redact: (text) => text,
    limits,
  });
  const call = { dir: home, args: ["log"], doing: "reading", mostBytes: 1_000_000 };
  expect(await endless({ ...call, tolerant: true })).toMatchObject({ code: TOO_MUCH, stdout: "" });
  await expect(endless(call)).rejects.toMatchObject({ code: "over-limit", retryable: false });
});

it("answers code and words of a failure that is tolerated, and throws others", async () => {
  const call = { dir: home, args: ["rev-parse", "--verify", "HEAD"], doing: "asking nowhere" };
  expect(await git({ ...call, tolerant: true })).toMatchObject({
    code: 128,
    stderr: expect.stringContaining("fatal"),
  });
  await expect(git(call)).rejects.toThrow(/^asking nowhere: git exited 128: fatal: not a git repository/);
});
