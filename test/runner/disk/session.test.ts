import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logNameOf, sessionIdOf } from "../../../src/cells/names.ts";
import type { PresetName } from "../../../src/preset-names.ts";
import { findSession } from "../../../src/runner/disk/session.ts";

const CELL_ID = "4f1c0b7e-1111-4222-a333-444455556666";
const ID = sessionIdOf(CELL_ID, "allegro");
let cell: string;
let home: string;

beforeEach(() => {
  cell = mkdtempSync(join(tmpdir(), "lazarus-session-"));
  home = join(cell, "home", "allegro");
  mkdirSync(home, { recursive: true });
});
afterEach(() => rmSync(cell, { recursive: true, force: true }));

const put = (...names: string[]) => {
  const path = join(home, ...names);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, "{}\n");
};
const log = (n: number, text: string, agent = "allegro") => {
  mkdirSync(join(cell, "logs"), { recursive: true });
  writeFileSync(join(cell, "logs", logNameOf(agent, n)), text);
};
const find = (
  preset: PresetName | null = "claude",
  more: { name?: string; command?: string[]; run?: number } = {},
) =>
  findSession({
    cellId: CELL_ID,
    cellDir: cell,
    run: more.run ?? 4,
    agent: { name: more.name ?? "allegro", preset, command: more.command ?? null },
  });
const has = async (name = "allegro") => !(await find("claude", { name })).isNew;

describe("an agent's session", () => {
  it("is not there before it was begun, nor without a home", async () => {
    put("claude", "projects", "-var-missions-x-worktree", "another-session.jsonl");
    expect(await has()).toBe(false);
    expect(await has("ezra")).toBe(false);
  });

  it.each([
    ["claude", ["claude", "projects", "-var-missions-x-worktree", `${ID}.jsonl`]],
    ["qwen", ["qwen", "projects", "-var-missions-x-worktree", "chats", `${ID}.jsonl`]],
    [
      "gemini",
      ["gemini", ".gemini", "tmp", "worktree", "chats", `session-2026-11-28T03-27-${ID.slice(0, 8)}.jsonl`],
    ],
    ["claude", ["elsewhere", `${ID}.jsonl`]],
  ] as const)("is found where %s keeps it", async (preset, names) => {
    put(...names);
    expect(await find(preset)).toEqual({ id: ID, isNew: false });
    expect(await find(preset, { command: ["own"] })).toEqual({ id: ID, isNew: true });
    expect((await find(null)).isNew).toBe(true);
    expect((await find("aider")).isNew).toBe(true);
  });

  it("is found in spite of all that an agent's programs keep in its home", async () => {
    for (let n = 0; n < 21; n++) {
      const dir = join(home, ".cache", String(n));
      mkdirSync(dir, { recursive: true });
      for (let k = 0; k < 1_000; k++) writeFileSync(join(dir, String(k)), "");
    }
    put("claude", "projects", "-x", `${ID}.jsonl`);
    expect(await has()).toBe(true);
  });

  it("is not looked for through links, nor believed of what is no file", async () => {
    const elsewhere = join(cell, "elsewhere");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, `${ID}.jsonl`), "{}\n");
    symlinkSync(elsewhere, join(home, "claude"));
    symlinkSync(join(elsewhere, `${ID}.jsonl`), join(home, `${ID}.jsonl`));
    mkdirSync(join(home, "odd", `${ID}.jsonl`), { recursive: true });
    expect(await has()).toBe(false);
  });

  it("is not looked for without end", async () => {
    let path = home;
    for (let depth = 0; depth < 40; depth++) path = join(path, "d");
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, `${ID}.jsonl`), "{}\n");
    expect(await has()).toBe(false);
  });
});

describe("a session that the agent named itself", () => {
  const THREAD = "01a22030-b2a7-78c3-8316-bf8a595a8765";
  const OTHER = "01a22031-0000-7000-8000-000000000000";
  const started = (id: string) => `{"type":"thread.started","thread_id":"${id}"}\n{"type":"turn.started"}\n`;
  const rollout = (id: string) =>
    put("codex", "sessions", "2026", "11", "28", `rollout-2026-11-28T03-26-30-${id}.jsonl`);

  it("is codex's thread, which its log tells and its home holds", async () => {
    log(3, `WARNING: something\n${started(THREAD)}${started(OTHER)}`);
    expect(await find("codex")).toEqual({ id: ID, isNew: true });
    rollout(OTHER);
    expect((await find("codex")).isNew).toBe(true);
    rollout(THREAD);
    expect(await find("codex")).toEqual({ id: THREAD, isNew: false });
  });

  it("is that of the last run that had one", async () => {
    rollout(THREAD);
    rollout(OTHER);
    log(1, started(OTHER));
    log(2, started(THREAD));
    log(3, "it could not even start\n");
    log(4, started(OTHER));
    log(3, started(OTHER), "ezra");
    expect((await find("codex")).id).toBe(THREAD);
    expect((await find("codex", { run: 2 })).id).toBe(OTHER);
    expect((await find("codex", { run: 1 })).isNew).toBe(true);
  });

  it("is opencode's, in any of its events", async () => {
    log(2, '{"type":"step_start","timestamp":1,"sessionID":"ses_ddfcf0ab7ffetpWrydchUugPqh","part":{}}\n');
    log(3, '{"type":"error","error":{}}\n');
    expect(await find("opencode")).toEqual({ id: "ses_ddfcf0ab7ffetpWrydchUugPqh", isNew: false });
  });

  it("is what hermes prints last", async () => {
    log(3, "session_id: not-this\nwork\nsession_id: 20261128_0326_ab12cd\n");
    expect(await find("hermes")).toEqual({ id: "20261128_0326_ab12cd", isNew: false });
  });

  it.each([
    ["codex", '{"type":"thread.started","thread_id":"--last"}'],
    ["opencode", '{"sessionID":"--share"}'],
    ["hermes", "session_id: --yolo"],
    ["hermes", "session_id: a b"],
  ] as const)("of %s is never an option: %s", async (preset, text) => {
    log(3, `${text}\n`);
    expect((await find(preset)).isNew).toBe(true);
  });

  it("is not looked for in a log that is a link", async () => {
    log(1, started(THREAD));
    rollout(THREAD);
    symlinkSync(logNameOf("allegro", 1), join(cell, "logs", logNameOf("allegro", 3)));
    expect((await find("codex", { run: 4 })).id).toBe(THREAD);
    rmSync(join(cell, "logs", logNameOf("allegro", 1)));
    expect((await find("codex")).isNew).toBe(true);
  });
});
