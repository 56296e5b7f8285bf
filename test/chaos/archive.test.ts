import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect } from "vitest";
import type { Death } from "./deadly-fs.ts";
import { type ChaosRig, chaos, until } from "./rig.ts";

/** One more line in a file of the repository, and one in its home, at each visit. */
const AGENT =
  'echo hello >>hello.txt; git add hello.txt; git commit --quiet -m "Say hello"; echo here >>"$HOME/visits"';

const dirOf = (rig: ChaosRig, ...names: string[]) => join(rig.lazarus.missionsDir, rig.cell().id, ...names);

async function makeArchive(rig: ChaosRig): Promise<void> {
  await rig.serve();
  await rig.say("/lazarus summon allegro");
  await rig.comesTo({ state: "idle", outcome: "done" });
  await rig.say("/lazarus close");
  await rig.comesTo({ state: "archived", replies: 1 });
}

/**
 * Whether each file of the seal that counts is there and is what its manifest says: the old one, or the new
 * one that was committed.
 */
function isWhole(rig: ChaosRig): boolean {
  const archive = dirOf(rig, "archive");
  const isCommitted = existsSync(join(archive, "manifest.json.new"));
  const manifest = JSON.parse(
    readFileSync(join(archive, isCommitted ? "manifest.json.new" : "manifest.json"), "utf8"),
  );
  return (manifest.files as { name: string; sha256: string }[]).every(({ name, sha256 }) => {
    const fresh = join(archive, `${name}.new`);
    const path = isCommitted && existsSync(fresh) ? fresh : join(archive, name);
    return existsSync(path) && createHash("sha256").update(readFileSync(path)).digest("hex") === sha256;
  });
}

async function cameBack(rig: ChaosRig): Promise<void> {
  await rig.comesTo({ state: "idle", outcome: "done", runs: 2, commits: 2, replies: 1 });
  expect(readFileSync(dirOf(rig, "worktree", "hello.txt"), "utf8")).toBe("hello\nhello\n");
  expect(readFileSync(dirOf(rig, "home", "allegro", "visits"), "utf8")).toBe("here\nhere\n");
  expect(readdirSync(dirOf(rig)).filter((name) => name.startsWith("."))).toEqual([]);
  expect(isWhole(rig)).toBe(true);
}

describe("a cell that is being brought back", () => {
  const deaths: readonly (readonly [string, Death])[] = [
    ["as it begins", { at: "fs.mkdir", when: "after", match: "\\.restore" }],
    ["in the middle of a file", { at: "fs.open", when: "after", match: '/hello\\.txt"' }],
    ["between two directories", { at: "fs.mkdir", when: "before", match: '/home"' }],
    [
      "before it is put in its place",
      { at: "fs.rename", when: "before", match: '/worktree","[^"]*/worktree"' },
    ],
    ["after its worktree was", { at: "fs.rename", when: "after", match: '/worktree","[^"]*/worktree"' }],
    ["after its home was", { at: "fs.rename", when: "after", match: '/home","[^"]*/home"' }],
    ["before that is written down", { at: "fs.rename", when: "before", match: "restored\\.json" }],
    ["after that was written down", { at: "fs.rename", when: "after", match: "restored\\.json" }],
  ];
  for (const [what, death] of deaths) {
    chaos(`goes on once after a kill ${what}`, { agent: AGENT }, async (rig) => {
      await makeArchive(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus revive");
      await dying.died();
      expect(rig.cell().state).toBe("archived");
      expect(isWhole(rig)).toBe(true);
      await rig.serve();
      await cameBack(rig);
    });
  }

  chaos("goes on once after a kill as its agent is started", { agent: AGENT }, async (rig) => {
    await makeArchive(rig);
    await rig.lazarus.end();
    const dying = await rig.serveUntil({ at: "backend.lock", when: "after" });
    await rig.say("/lazarus revive");
    await dying.died();
    await rig.serve();
    await cameBack(rig);
  });

  chaos("leaves nothing when it is destroyed after a kill in the middle", { agent: AGENT }, async (rig) => {
    await makeArchive(rig);
    await rig.lazarus.end();
    const dying = await rig.serveUntil({ at: "fs.mkdir", when: "before", match: '/home"' });
    await rig.say("/lazarus revive");
    await dying.died();
    expect(existsSync(dirOf(rig, ".restore"))).toBe(true);
    await rig.serve();
    await rig.say("/lazarus destroy --force");
    await rig.cellIs("destroyed");
    await until("nothing is left to do", () => rig.openJobs().length === 0);
    expect(readdirSync(rig.lazarus.missionsDir)).toEqual([]);
  });
});

describe("a cell that is sealed a second time", () => {
  async function closeAgain(rig: ChaosRig): Promise<void> {
    await rig.comesTo({ state: "archived", runs: 2, commits: 2, replies: 2 });
    expect(isWhole(rig)).toBe(true);
    expect(readdirSync(dirOf(rig, "archive")).sort()).toEqual([
      "branch.bundle",
      "cell.tar.gz",
      "entries.jsonl.gz",
      "manifest.json",
    ]);
    const list = gunzipSync(readFileSync(dirOf(rig, "archive", "entries.jsonl.gz"))).toString("utf8");
    expect(list).toMatch(/"worktree\/hello\.txt","type":"file","mode":"06\d\d","size":12,/);
  }

  const deaths: readonly (readonly [string, Death])[] = [
    ["before the new seal is whole", { at: "fs.rename", when: "before", match: 'manifest\\.json\\.new"' }],
    ["as soon as it is", { at: "fs.rename", when: "after", match: 'manifest\\.json\\.new"' }],
    ["when half of it is in its place", { at: "fs.rename", when: "after", match: 'cell\\.tar\\.gz\\.new"' }],
    [
      "before its manifest is",
      { at: "fs.rename", when: "before", match: 'manifest\\.json\\.new",.*manifest\\.json"' },
    ],
    [
      "after its manifest was",
      { at: "fs.rename", when: "after", match: 'manifest\\.json\\.new",.*manifest\\.json"' },
    ],
  ];
  for (const [what, death] of deaths) {
    chaos(`has the old seal or the new one after a kill ${what}`, { agent: AGENT }, async (rig) => {
      await makeArchive(rig);
      await rig.say("/lazarus revive");
      await cameBack(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus close");
      await dying.died();
      expect(rig.cell().state).toBe("closing");
      expect(isWhole(rig)).toBe(true);
      await rig.serve();
      await closeAgain(rig);
    });
  }

  chaos("has the old seal or the new one after a kill in tar", { agent: AGENT }, async (rig) => {
    await makeArchive(rig);
    await rig.say("/lazarus revive");
    await cameBack(rig);
    rig.ambush("tar", "--create", "late");
    await rig.say("/lazarus close");
    await rig.ambushed();
    expect(isWhole(rig)).toBe(true);
    await rig.serve();
    await closeAgain(rig);
  });
});
