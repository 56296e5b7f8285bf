import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Point } from "../../../src/protocol/points.ts";
import { type Asked, readAnswers } from "../../../src/runner/collect/point-answers.ts";
import { createGit } from "../../../src/runner/git/git.ts";

let root: string;
let repository: string;
let base: string;
let reviewed: string;
let file: string;
const SECRET = "s3cret-of-the-test";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazarus-answers-"));
  repository = join(root, "repository");
  mkdirSync(repository);
  git("init", "--quiet", "--initial-branch=main");
  base = commit("base", { "a.txt": lines(1, 12), "b.txt": "b\n" });
  reviewed = commit("work", { "a.txt": lines(1, 12).replace("5\n", "five\n") });
  file = join(root, "cell", "artifacts", "answers", "2.json");
  mkdirSync(dirname(file), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function git(...args: string[]): string {
  const who = ["-c", "user.name=allegro", "-c", "user.email=a@lazarus.invalid"];
  return execFileSync("git", [...who, ...args], { cwd: repository, encoding: "utf8" }).trim();
}
function commit(message: string, files: Readonly<Record<string, string | null>>): string {
  for (const [name, text] of Object.entries(files)) {
    if (text === null) rmSync(join(repository, name));
    else writeFileSync(join(repository, name), text);
  }
  git("add", "-A");
  git("commit", "--quiet", "--allow-empty", "-m", message);
  return git("rev-parse", "HEAD");
}
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `${from + at}\n`).join("");

function at(n: number, more: Partial<Point> = {}): Point {
  return { n, path: "a.txt", line: 9, commit: reviewed, ...more };
}
function read(points: readonly Point[], more: Partial<Asked> = {}, mostMs = 60_000) {
  const limits = {
    memoryBytes: 1024 ** 3,
    mostMs,
    cpuSeconds: 60,
    files: 1_000,
    fileBytes: 1024 ** 3,
  };
  const remote = { url: "http://127.0.0.1:9", token: "", caFile: null, proxyEnv: {} };
  const home = join(root, "home");
  mkdirSync(home, { recursive: true });
  const deps = {
    git: createGit({
      home,
      path: process.env.PATH ?? "",
      remote,
      redact: (text) => text,
      limits: limits as never,
    }),
    redact: (text: string) => text.replaceAll(SECRET, "[redacted]"),
  };
  const work = { repository, base, tip: git("rev-parse", "HEAD") };
  const asked = { turn: 2, points, since: [reviewed], ...more };
  return readAnswers(deps, { cellDir: join(root, "cell"), asked, work });
}
const write = (answers: unknown) => writeFileSync(file, JSON.stringify(answers));

describe("an answer's commit", () => {
  it("counts where this turn made it, by its first seven digits or more", async () => {
    const fix = commit("fix", { "a.txt": lines(0, 12) });
    write({
      1: { verdict: "done", commit: fix.slice(0, 7), words: "so" },
      2: { verdict: "done", commit: fix.toUpperCase() },
    });
    expect(await read([at(1), at(2)])).toMatchObject([
      { n: 1, verdict: "done", commit: fix, touches: true, words: "so" },
      { n: 2, verdict: "done", commit: fix },
    ]);
  });

  it.each([
    ["of the base", () => base],
    ["that was reviewed", () => reviewed],
    ["of four digits", () => git("rev-parse", "HEAD").slice(0, 4)],
    ["of another branch", () => git("commit-tree", "HEAD^{tree}", "-m", "elsewhere")],
    ["that is none", () => "--output=/tmp/x"],
  ])("does not count where it is one %s", async (_what, named) => {
    commit("fix", { "a.txt": lines(0, 12) });
    write({ 1: { verdict: "done", commit: named() } });
    expect(await read([at(1)])).toMatchObject([{ verdict: "done", commit: null, touches: null }]);
  });

  it("is said to leave the point's file alone where it does", async () => {
    const fix = commit("fix", { "b.txt": "B\n" });
    write({ 1: { verdict: "done", commit: fix }, 2: { verdict: "done", commit: fix } });
    expect(await read([at(1), at(2, { path: ":(glob)**" })])).toMatchObject([
      { touches: false },
      { touches: false },
    ]);
  });

  it("is found by its trailer where the file cannot be read", async () => {
    const fix = commit("fix\n\nItem: 1, 3", { "a.txt": lines(0, 12) });
    writeFileSync(file, '{"2": {"verdict": "done"');
    const found = await read([at(1), at(2), at(3)]);
    expect(found.map(({ verdict, commit: hash }) => [verdict, hash])).toEqual([
      ["done", fix],
      [null, null],
      ["done", fix],
    ]);
  });

  it("may be any of the work's where nobody knows what the forge had", async () => {
    write({ 1: { verdict: "done", commit: reviewed } });
    expect(await read([at(1)], { since: ["0".repeat(40)] })).toMatchObject([{ commit: reviewed }]);
  });
});

describe("an answers file", () => {
  const NOTHING = [{ n: 1, verdict: null, words: "", commit: null }];

  it.each([
    ["is missing", () => {}],
    ["is an array", () => write([{ verdict: "done" }])],
    ["is text", () => write("done")],
    ["is no JSON", () => writeFileSync(file, "done")],
    ["is far too large", () => write({ 1: { verdict: "done", words: "x".repeat(10 * 1024 ** 2) } })],
    [
      "names other points",
      () =>
        write({
          0: { verdict: "done" },
          "-1": { verdict: "done" },
          "1 ": { verdict: "done" },
          7: { verdict: "done" },
        }),
    ],
    ["says a word that is none", () => write({ 1: { verdict: "merged" } })],
    [
      "is a link",
      () => {
        writeFileSync(join(root, "other"), '{"1": {"verdict": "done"}}');
        symlinkSync(join(root, "other"), file);
      },
    ],
    ["is a pipe", () => void execFileSync("mkfifo", [file])],
    [
      "lies behind a link",
      () => {
        const elsewhere = join(root, "elsewhere");
        mkdirSync(elsewhere);
        writeFileSync(join(elsewhere, "2.json"), '{"1": {"verdict": "done"}}');
        rmSync(dirname(file), { recursive: true });
        symlinkSync(elsewhere, dirname(file));
      },
    ],
  ] as readonly [string, () => void][])("that %s answers nothing", async (_what, make) => {
    make();
    expect(await read([at(1)])).toMatchObject(NOTHING);
  });

  it("says the last where it names a point twice", async () => {
    writeFileSync(file, '{"1": {"verdict": "done"}, "1": {"verdict": "declined", "words": "no"}}');
    expect(await read([at(1)])).toMatchObject([{ n: 1, verdict: "declined", words: "no" }]);
  });

  it("has its words hidden and cut", async () => {
    write({ 1: { verdict: "asks", words: `${SECRET} ${"x".repeat(5_000)}` } });
    const [found] = await read([at(1)]);
    expect(found?.words.startsWith("[redacted] xxx")).toBe(true);
    expect(Buffer.byteLength(found?.words ?? "")).toBeLessThanOrEqual(2_003);
  });
});

it("takes what comes to a limit for not known, and loses no answer for it", async () => {
  const fix = commit("fix", { "a.txt": lines(0, 12) });
  write({ 1: { verdict: "done", commit: fix, words: "so" } });
  expect(await read([at(1)], {}, 0)).toEqual([
    { n: 1, verdict: "done", words: "so", commit: null, touches: null, line: null },
  ]);
});

describe("the line of a point", () => {
  it("is where it is now, by what was changed since the review", async () => {
    commit("fix", { "a.txt": `a\nb\nc\n${lines(1, 12)}` });
    expect((await read([at(1), at(2, { line: 5 })])).map((one) => one.line)).toEqual([12, 8]);
  });

  it("is nowhere where its file is gone, never was, or nobody knows the commit", async () => {
    commit("fix", { "a.txt": null });
    const points = [
      at(1),
      at(2, { path: "../../etc/passwd" }),
      at(3, { path: "b.txt", commit: "" }),
      at(4, { path: "" }),
      at(5, { path: "b.txt", line: 0 }),
    ];
    expect((await read(points)).map((one) => one.line)).toEqual([null, null, null, null, null]);
  });
});
