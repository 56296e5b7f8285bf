import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hasSession } from "../../../src/runner/disk/session.ts";

const ID = "4f1c0b7e-1111-8222-a333-444455556666";
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
const has = (agent = "allegro") => hasSession(cell, agent, ID);

describe("an agent's session", () => {
  it("is not there before it was begun, nor without a home", async () => {
    put("claude", "projects", "-var-missions-x-worktree", "another-session.jsonl");
    expect(await has()).toBe(false);
    expect(await has("ezra")).toBe(false);
  });

  it.each([
    ["claude", ["claude", "projects", "-var-missions-x-worktree", `${ID}.jsonl`]],
    ["qwen", ["qwen", "projects", "-var-missions-x-worktree", "chats", `${ID}.jsonl`]],
  ])("is found where %s keeps it", async (_, names) => {
    put(...names);
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
