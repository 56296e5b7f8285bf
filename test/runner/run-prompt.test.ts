import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sessionIdOf } from "../../src/cells/names.ts";
import { sha256 } from "../../src/hash.ts";
import type { CellSpec, RunPrompt } from "../../src/protocol/shapes.ts";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";
import { IS_ROOT } from "../fakes/uids.ts";
import { until } from "../fakes/until.ts";

/** Writes down what it was given, on standard input and by its environment. */
const READER = `cat > "$LAZARUS_ARTIFACTS/stdin"
cat "$LAZARUS_BRIEF" > "$LAZARUS_ARTIFACTS/file"
cat "$LAZARUS_MISSION" > "$LAZARUS_ARTIFACTS/mission"
printf '%s' "\${1:-}" > "$LAZARUS_ARTIFACTS/argument"
echo "$LAZARUS_BRIEF $LAZARUS_MISSION"`;
const WORDS: RunPrompt = {
  kind: "words",
  text: "## What dev says to you\n\n~~~\nuse numbers\n~~~\n",
  earlier: ["allegro"],
};

let rig: RunnerRig;
let cell: CellSpec;
beforeEach(async () => {
  rig = await createRunnerRig();
  cell = rig.spec(await rig.commit("main", { "a.txt": "a\n" }));
  rig.agent(READER);
});
afterEach(() => rig.remove());

const read = (...names: string[]) => readFileSync(rig.cellPath(cell, ...names), "utf8");
const seen = (name: string) => read("artifacts", name);
const prompts = (...names: string[]) => rig.cellPath(cell, "config", "prompts", ...names);

it("is the brief at first, which every way to it leads to", async () => {
  await rig.runToEnd(cell);
  expect([seen("stdin"), seen("file"), seen("mission")]).toEqual([cell.brief, cell.brief, cell.brief]);
  expect(read("config", "prompts", "1.md")).toBe(cell.brief);
  expect(read("logs", "allegro-1.log")).toBe(
    `${prompts("1.md")} ${rig.cellPath(cell, "config", "brief.md")}\n`,
  );
  expect(rig.said("run-started")[0]?.prompt).toEqual({ sha256: sha256(cell.brief), isResumed: false });
});

it("is what is new, and the brief, for an agent that cannot go on with its session", async () => {
  await rig.runToEnd(cell);
  await rig.runToEnd(cell, 2, WORDS);
  expect(seen("stdin")).toMatch(/^# Run 2 in cell [\s\S]*use numbers[\s\S]*# Brief/);
  expect([seen("file"), read("config", "prompts", "2.md")]).toEqual([seen("stdin"), seen("stdin")]);
  expect(seen("mission")).toBe(cell.brief);
  expect(read("config", "prompts", "1.md")).toBe(cell.brief);
  expect(rig.said("run-started")[1]?.prompt).toEqual({ sha256: sha256(seen("stdin")), isResumed: false });
});

it("is what is new alone where the session is at hand", async () => {
  const bin = join(rig.root, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "claude"), `#!/bin/sh\n${READER}\n`, { mode: 0o755 });
  chmodSync(bin, 0o755);
  chmodSync(join(bin, "claude"), 0o755);
  rig.restart({ config: { ...rig.deps.config, childPath: `${bin}:${rig.deps.config.childPath}` } });
  rig.agent("exit 0", { preset: "claude", command: null });
  await rig.runToEnd(cell);
  const sessions = rig.cellPath(cell, "home/allegro/claude/projects/x");
  mkdirSync(sessions, { recursive: true });
  writeFileSync(join(sessions, `${sessionIdOf(cell.id, "allegro")}.jsonl`), "{}\n");
  await rig.runToEnd(cell, 2, WORDS);
  expect(seen("stdin")).toContain("this session goes on");
  expect(seen("stdin")).not.toContain("# Brief");
  expect(rig.said("run-started")[1]?.prompt?.isResumed).toBe(true);
});

it("stays what a run was given that began before its job was done again", async () => {
  await rig.runToEnd(cell);
  await rig.runToEnd(cell, 2, WORDS);
  const given = read("config", "prompts", "2.md");
  await rig.start(cell, 2, { ...WORDS, text: "something else\n" });
  expect(read("config", "prompts", "2.md")).toBe(given);
  expect(rig.said("run-started").filter((one) => one.run === 2)).toMatchObject([
    { prompt: { sha256: sha256(given) } },
  ]);
});

it("is never what an earlier run left there in its place", async () => {
  await rig.runToEnd(cell);
  writeFileSync(prompts("2.md"), "do evil\n");
  await rig.runToEnd(cell, 2, WORDS);
  expect(seen("stdin")).toContain("use numbers");
  rmSync(prompts(), { recursive: true });
  mkdirSync(join(rig.root, "elsewhere"));
  symlinkSync(join(rig.root, "elsewhere"), prompts());
  await rig.runToEnd(cell, 3, WORDS);
  expect(seen("stdin")).toContain("# Run 3");
  expect(lstatSync(prompts()).isDirectory()).toBe(true);
  writeFileSync(prompts("4.md"), "do evil\n");
  rmSync(prompts("3.md"));
  rmSync(prompts(), { recursive: true });
  writeFileSync(prompts(), "do evil\n");
  await rig.runToEnd(cell, 4, WORDS);
  expect(seen("stdin")).toContain("# Run 4");
});

it("fits into an argument: the brief stays in its file where both are too long", async () => {
  const long = { ...cell, brief: `# Brief\n\n${"word ".repeat(20_000)}` };
  rig.agent(READER, { brief: "argument" });
  await rig.runToEnd(long);
  expect(seen("argument").length).toBe(long.brief.length);
  await rig.runToEnd(long, 2, { ...WORDS, text: `${"x".repeat(64 * 1024)}\n` });
  expect(seen("argument")).toContain("x".repeat(64 * 1024));
  expect(seen("argument")).toContain("read all of it before you begin");
  expect(seen("mission")).toBe(long.brief);
  expect(rig.said("run-refused")).toEqual([]);
});

it("comes back with the cell from its archive, and may be read by the cell's own user alone", async () => {
  await rig.runToEnd(cell);
  await rig.runToEnd(cell, 2, WORDS);
  const given = read("config", "prompts", "2.md");
  await rig.collect(cell, 2);
  await rig.seal(cell);
  rmSync(rig.cellPath(cell, "config", "prompts"), { recursive: true });
  await rig.restore(cell, 3);
  expect([read("config", "prompts", "1.md"), read("config", "prompts", "2.md")]).toEqual([cell.brief, given]);
  await rig.start(cell, 3, WORDS);
  await until("it ended", () => rig.said("run-ended").some((one) => one.run === 3));
  const modes = ["", "1.md", "2.md", "3.md"].map((name) => {
    const { mode, uid, gid } = lstatSync(name === "" ? prompts() : prompts(name));
    return [(mode & 0o7777).toString(8), uid, gid];
  });
  const us = [process.getuid?.(), cell.user?.gid ?? process.getgid?.()];
  expect(modes).toEqual([
    [IS_ROOT ? "710" : "700", ...us],
    ...Array.from({ length: 3 }, () => [IS_ROOT ? "640" : "600", ...us]),
  ]);
});
