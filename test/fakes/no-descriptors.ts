import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { tar } from "../../src/backup/tar.ts";
import { LazarusError } from "../../src/errors.ts";
import { giveAway } from "../../src/runner/disk/owner.ts";
import { mustFit } from "../../src/runner/git/count-tree.ts";
import { createGit } from "../../src/runner/git/git.ts";
import { scanLog } from "../../src/runner/git/secret-scan.ts";
import { runWorker } from "../../src/runner/run-worker.ts";

/** Starts each kind of child where this process has no descriptor left, and prints what became of it. */
const home = mkdtempSync(join(tmpdir(), "lazarus-descriptors-"));
const limits = { memoryBytes: 1024 ** 3, fileBytes: 1024 ** 3, mostMs: 60 * 60_000 };
const remote = { url: "http://127.0.0.1:9", token: "t", caFile: null, proxyEnv: {} };
const path = process.env.PATH ?? "";
const git = createGit({ home, path, remote, redact: (text) => text, limits });
const user = { uid: 1, gid: 1, groups: [] };
const tree = { repository: home, commit: "HEAD", mostFiles: 1, mostBytes: 1, limits };
const starts: Record<string, () => Promise<unknown>> = {
  worker: () => runWorker("remove", { request: {}, answer: z.null(), doing: "working", limits }),
  scan: () => scanLog({ gits: [], mark: "", secrets: [], mostBytes: 1 }),
  count: () => mustFit(git, { ...tree, doing: "counting" }),
  owner: () => giveAway([home], { user, path }),
  tar: () => tar(["--version"], "packing"),
  git: () => git({ dir: home, args: ["status"], doing: "asking" }),
  remote: () => git({ dir: home, args: ["fetch"], doing: "fetching", remote: true }),
};

const held: number[] = [];
try {
  for (;;) held.push(openSync("/dev/null", "r"));
} catch {
  // None is left.
}
const ends: Record<string, unknown> = {};
for (const [name, start] of Object.entries(starts))
  ends[name] = await start().then(
    () => "it was started",
    (error: unknown) =>
      error instanceof LazarusError ? [error.code, error.retryable, error.message] : String(error),
  );
for (const fd of held) closeSync(fd);
rmSync(home, { recursive: true });
process.stdout.write(JSON.stringify(ends));
