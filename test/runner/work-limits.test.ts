import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import * as z from "zod";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { openDirectory } from "../../src/runner/disk/safe-files.ts";
import { runWorker } from "../../src/runner/run-worker.ts";
import { packCell } from "../../src/runner/seal/pack.ts";
import { git } from "../fakes/forge/git.ts";
import { treeBomb } from "../fakes/git-bombs.ts";
import { createRunnerRig, type RunnerRig, readJsonFile } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";

let rig: RunnerRig;
let base: string;
const pathBefore = process.env.PATH;

beforeAll(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "a\n" });
  rig.agent("exit 0");
});
afterEach(() => {
  process.env.PATH = pathBefore;
  rig.restart();
  rig.reports.length = 0;
});
afterAll(() => rig.remove());

const manifestOf = (cell: CellSpec) =>
  readJsonFile(rig.cellPath(cell, "archive/manifest.json")) as { left_out: string[]; unpacked_bytes: number };
const namesIn = (cell: CellSpec) =>
  execFileSync("tar", ["-tzf", rig.cellPath(cell, "archive/cell.tar.gz")], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 ** 2,
  });

async function idleCell(script: string): Promise<CellSpec> {
  const cell = rig.spec(base);
  await rig.runToEnd(cell);
  rig.inWorktree(cell, script);
  return cell;
}

/** A PATH on which the machine's own program comes after these lines of a shell. */
function programFirst(program: string, name: string, lines: string): string {
  const bin = join(rig.root, "bin", name);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, program), `#!/bin/sh\n${lines}\nPATH='${pathBefore}' exec ${program} "$@"\n`);
  chmodSync(join(bin, program), 0o755);
  return `${bin}:${pathBefore}`;
}

async function bringBack(cell: CellSpec): Promise<unknown> {
  const mission = { status: "archived", members: [], history: [] };
  await rig.perform("prune", { cellId: cell.id, mission, run: null });
  await rig.restore(cell, 2);
  return rig.reports.at(-1);
}

it("seals a tree that is nested too deep without its depths, and names them", async () => {
  const cell = await idleCell(
    "echo kept >kept; i=0; while [ $i -lt 300 ]; do mkdir dir; cd dir; i=$((i+1)); done; echo x >bottom",
  );
  await rig.seal(cell);
  expect(manifestOf(cell).left_out).toEqual([expect.stringMatching(/^worktree\/dir\/[dir/]+: too deep$/)]);
  expect(namesIn(cell)).not.toContain("bottom");
  expect(await bringBack(cell)).toMatchObject({ kind: "restored" });
  expect(rig.inWorktree(cell, "cat kept; ls dir/dir")).toBe("kept\ndir\n");
});

it("seals a cell without the trees that tar has no memory for, and says so where it is to come back", async () => {
  const path = programFirst(
    "tar",
    "low",
    `case " $* " in *" worktree "*) echo 'tar: memory exhausted' >&2; exit 2;; esac`,
  );
  const cell = await idleCell("echo x >x");
  process.env.PATH = path;
  rig.restart();
  await rig.seal(cell);
  expect(rig.said("sealed")).toHaveLength(1);
  expect(manifestOf(cell).left_out).toEqual(
    ["worktree", "home", "artifacts"].map((part) =>
      expect.stringMatching(`^${part}: sealing .* needs more than 1024 MB of memory`),
    ),
  );
  expect(namesIn(cell)).toContain("meta/mission.json");
  expect(await bringBack(cell)).toMatchObject({
    kind: "restore-refused",
    payload: { why: expect.stringContaining("it holds no worktree (worktree: sealing") },
  });
});

it("gives tar no more memory than limits.confined", async () => {
  const limit = join(rig.root, "limit");
  process.env.PATH = programFirst("tar", "told", `ulimit -d >'${limit}'`);
  rig.restart();
  await rig.seal(await idleCell("exit 0"));
  expect(rig.said("sealed")).toHaveLength(1);
  expect(readFileSync(limit, "utf8")).toBe(`${1024 ** 2}\n`);
});

it("packs and unpacks in a child, so that nothing of it goes through our own process", async () => {
  const parent = join(rig.root, "parent");
  const cell = await idleCell("exit 0");
  const tellsParent = `echo $PPID >'${parent}'`;
  process.env.PATH = programFirst("tar", "packing", tellsParent);
  rig.restart();
  await rig.seal(cell);
  expect(Number(readFileSync(parent, "utf8"))).not.toBe(process.pid);
  process.env.PATH = programFirst("sync", "unpacking", tellsParent);
  rig.restart();
  writeFileSync(parent, "");
  expect(await bringBack(cell)).toMatchObject({ kind: "restored" });
  expect(readFileSync(parent, "utf8")).toMatch(/^\d+\n$/);
  expect(Number(readFileSync(parent, "utf8"))).not.toBe(process.pid);
});

it("packs nothing into a file larger than it may be, for good", async () => {
  const cellDir = rig.cellPath(await idleCell("head -c 3000000 /dev/urandom >noise"));
  mkdirSync(join(cellDir, "archive"), { recursive: true });
  const limits = { memoryBytes: 1024 ** 3, fileBytes: 1024 ** 2, mostMs: 60_000 };
  const request = { cellDir, parts: ["worktree"], path: pathBefore, limits };
  const packing = runWorker("pack", { request, answer: z.unknown(), doing: "sealing", limits });
  await expect(packing).rejects.toMatchObject({
    ...{ code: "over-limit", retryable: false },
    message: "sealing: it writes a file of more than 1 MB (limits.disk)",
  });
});

it("ends a worker that takes too long, for good, and with it all that it started", async () => {
  const pids = join(rig.root, "pids");
  const cellDir = rig.cellPath(await idleCell("exit 0"));
  mkdirSync(join(cellDir, "archive"), { recursive: true });
  const path = programFirst("tar", "stuck", `echo $$ $PPID >'${pids}'; exec sleep 1000`);
  const limits = { memoryBytes: 1024 ** 3, fileBytes: 1024 ** 3, mostMs: 600_000 };
  const pack = (mostMs: number, signal?: AbortSignal) =>
    runWorker("pack", {
      ...{ request: { cellDir, parts: ["meta"], path, limits }, answer: z.unknown(), doing: "sealing" },
      ...{ limits: { ...limits, mostMs }, ...(signal === undefined ? {} : { signal }) },
    });
  await expect(pack(1)).rejects.toMatchObject({ code: "over-limit", retryable: false });
  const ending = new AbortController();
  const packing = pack(600_000, ending.signal);
  packing.catch(() => {});
  const started = () => (existsSync(pids) ? (readFileSync(pids, "utf8").match(/\d+/g) ?? []) : []);
  await until("tar has begun", () => started().length === 2);
  ending.abort(new Error("it is not wanted any more"));
  await expect(packing).rejects.toThrow("it is not wanted any more");
  await until("both are gone", () => started().every((pid) => !existsSync(`/proc/${pid}/exe`)));
});

it("ends a tar that takes too long, for good", async () => {
  const cellDir = rig.cellPath(await idleCell("exit 0"));
  mkdirSync(join(cellDir, "archive"), { recursive: true });
  const archive = await openDirectory(cellDir, "archive");
  const plan = {
    ...{ cellDir, parts: ["meta"], modes: new Map(), path: programFirst("tar", "slow", "exec sleep 1000") },
    limits: { memoryBytes: 1024 ** 3, fileBytes: 1024 ** 3, mostMs: 1_000 },
  };
  await expect(packCell(archive, plan)).rejects.toMatchObject({ code: "over-limit", retryable: false });
  await archive.close();
});

it("refuses once what its disk can never hold, and waits where the disk is only full", async () => {
  const cell = await idleCell("echo kept >kept");
  await rig.seal(cell);
  const mission = { status: "archived", members: [], history: [] };
  await rig.perform("prune", { cellId: cell.id, mission, run: null });
  const { bsize, blocks } = statfsSync(rig.missions);
  const leave = (freeBytes: number) => {
    const { config } = rig.deps;
    rig.restart({ config: { ...config, limits: { ...config.limits, freeBytes } } });
  };
  leave(bsize * blocks + 1);
  await rig.restore(cell, 2);
  expect(rig.said("restore-refused").map(({ why }) => why)).toEqual([
    expect.stringMatching(/it needs [\d.]+ GB, more than its disk has$/),
  ]);
  leave(bsize * blocks - 1024 ** 2);
  await expect(rig.restore(cell, 3)).rejects.toMatchObject({ code: "disk-full", retryable: true });
});

it("counts what a sparse file stores, not what it seems to hold", async () => {
  const cell = await idleCell("for n in 1 2 3 4 5; do truncate -s 900G sparse$n; done");
  await rig.seal(cell);
  expect(manifestOf(cell).unpacked_bytes).toBeLessThan(1024 ** 2);
  expect(await bringBack(cell)).toMatchObject({ kind: "restored" });
  expect(rig.inWorktree(cell, "stat -c %s sparse5")).toBe(`${900 * 1024 ** 3}\n`);
});

it("makes no cell of a commit that stands for more files than a disk holds, and does not try again", async () => {
  const bomb = treeBomb(base, 9);
  const path = join(rig.root, "bomb.bundle");
  writeFileSync(path, bomb.bundle);
  await git(rig.forgeRepository, ["fetch", "--quiet", path, "refs/lazarus/tip:refs/heads/bomb"]);
  const cell = rig.spec(bomb.tip, { baseRef: "refs/heads/bomb" });
  await rig.start(cell);
  expect(rig.said("run-refused").map((one) => one.why)).toEqual([
    `cloning acme/app into cell ${cell.id.slice(0, 8)}: it has more than 1000000 files and directories`,
  ]);
  expect(existsSync(rig.cellPath(cell))).toBe(false);
});

it("makes no cell whose files alone are more than its disk", async () => {
  const { config } = rig.deps;
  rig.restart({ config: { ...config, limits: { ...config.limits, diskBytes: 1024 ** 2 } } });
  const big = await rig.commit("big", { "big.txt": "x".repeat(1024 ** 2 + 1) });
  await rig.start(rig.spec(big, { baseRef: "refs/heads/big" }));
  expect(rig.said("run-refused")[0]?.why).toMatch(/its files need more than 1 MB \(limits\.disk\)$/);
});

/** A commit at a branch of the forge's, whose tree is what `mktree` makes of these lines. */
async function commitOf(branch: string, tree: string): Promise<string> {
  const who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
  const hash = await git(rig.forgeRepository, [...who, "commit-tree", "-m", branch, "-p", base, tree]);
  await git(rig.forgeRepository, ["update-ref", `refs/heads/${branch}`, hash]);
  return hash;
}
const mktree = (lines: string) =>
  execFileSync("git", ["-C", rig.forgeRepository, "mktree"], { input: lines, encoding: "utf8" }).trim();
const blobOf = (text: string) =>
  execFileSync("git", ["-C", rig.forgeRepository, "hash-object", "-w", "--stdin"], {
    input: text,
    encoding: "utf8",
  }).trim();

it("counts directories too: each takes its place on a disk, whatever lies in it", async () => {
  const { config } = rig.deps;
  rig.restart({ config: { ...config, limits: { ...config.limits, diskBytes: 1024 ** 2 } } });
  let tree = mktree(`100644 blob ${blobOf("")}\tempty\n`);
  for (let depth = 0; depth < 12; depth++) tree = mktree(`040000 tree ${tree}\td\n`);
  const wide = Array.from({ length: 100 }, (_, n) => `040000 tree ${tree}\td${n}\n`).join("");
  const commit = await commitOf("dirs", mktree(wide));
  await rig.start(rig.spec(commit, { baseRef: "refs/heads/dirs" }));
  expect(rig.said("run-refused")[0]?.why).toMatch(/its files need more than 1 MB \(limits\.disk\)$/);
});

it("looks at no name that is longer than any path may be", async () => {
  const tree = mktree(`100644 blob ${blobOf("x")}\t${"n".repeat(300_000)}\n`);
  const commit = await commitOf("name", tree);
  await rig.start(rig.spec(commit, { baseRef: "refs/heads/name" }));
  expect(rig.said("run-refused")[0]?.why).toMatch(/: it has a path of more than 4096 bytes$/);
});

it("does not take the name of a file for a disk that is full, and does not try again", async () => {
  const name = `No space left on device${"!".repeat(300)}`;
  const commit = await commitOf("full", mktree(`100644 blob ${blobOf("x")}\t${name}\n`));
  await rig.start(rig.spec(commit, { baseRef: "refs/heads/full" }));
  expect(rig.said("run-refused")[0]?.why).toMatch(/^cloning acme\/app into cell [0-9a-f]{8}: /);
});

it("removes a directory of any number of names", async () => {
  const cell = await idleCell("exit 0");
  const crowd = rig.cellPath(cell, "worktree/crowd");
  mkdirSync(crowd);
  execFileSync("sh", ["-c", ": >0; i=0; while [ $i -lt 3000 ]; do ln 0 l$i; i=$((i+1)); done"], {
    cwd: crowd,
  });
  if (cell.user !== null) lchownSync(crowd, cell.user.uid, cell.user.gid);
  await rig.perform("scrub", { cellId: cell.id, repository: cell.repository, user: cell.user, handle: null });
  expect(existsSync(rig.cellPath(cell))).toBe(false);
});
