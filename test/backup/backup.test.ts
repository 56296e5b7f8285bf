import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { Stage } from "../e2e/stage.ts";

let stage: Stage;
let dir: string;
let cellId: string;
const file = (name: string) => join(dir, name);
const RUNNERS_KEY = `${"ab".repeat(32)}\n`;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-backup-"));
  stage = await Stage.set({
    agents: { plain: "echo made >made.txt; git add made.txt; git commit -qm made" },
  });
  const issue = await stage.openIssue("Keep this");
  await stage.type(stage.dev, issue, "/lazarus summon plain");
  await stage.card(issue, /→ draft #\d+/);
  cellId = await stage.cellId(issue);
  // As the first `lazarus runner add` leaves it.
  writeFileSync(join(stage.lazarus.dataDir, "runners.key"), RUNNERS_KEY, { mode: 0o600 });
});
afterAll(async () => {
  await stage?.strike();
  rmSync(dir, { recursive: true, force: true });
});

const run = (...words: string[]) => stage.lazarus.cli(...words);

/** Takes a backup apart, changes it, and packs it again. */
function changed(name: string, change: (inside: string) => void): string {
  const inside = mkdtempSync(join(dir, "inside-"));
  execFileSync("tar", ["-xzf", file("whole.tar.gz"), "-C", inside]);
  change(inside);
  execFileSync("tar", ["-czf", file(name), "-C", inside, ...readdirSync(inside)]);
  return file(name);
}

describe("lazarus backup", () => {
  it("is whole under a running server, needs no token, and holds no secret", async () => {
    const { code, stdout, stderr } = await run("backup", file("whole.tar.gz"));
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/whole\.tar\.gz: \d+ KB, 1 cells$/m);
    const listed = execFileSync("tar", ["-tzf", file("whole.tar.gz")])
      .toString()
      .trim()
      .split("\n");
    expect(listed.sort()).toEqual([
      "cells.tar",
      "heartbeat.key",
      "lazarus.db",
      "lazarus.yaml",
      "manifest.json",
      "mirrors.tar",
      "runners.key",
    ]);
    const yaml = execFileSync("tar", ["-xzOf", file("whole.tar.gz"), "lazarus.yaml"]).toString();
    expect(yaml).toContain('webhook_secret: "[redacted]"'.replaceAll('"', ""));
    expect(yaml).not.toContain(stage.bot.token);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("overwrites nothing, and keeps as many as it is told", async () => {
    expect((await run("backup", file("whole.tar.gz"))).stderr).toContain(
      "is there already: name another file",
    );
    for (const day of ["01", "02", "03"])
      expect((await run("backup", file(`day-${day}.tar.gz`), "--without-cells", "--keep", "2")).code).toBe(0);
    expect(
      readdirSync(dir)
        .filter((name) => name.startsWith("day-"))
        .sort(),
    ).toEqual(["day-02.tar.gz", "day-03.tar.gz"]);
    expect((await run("backup", file("x.tar.gz"), "--keep", "none")).stderr).toContain(
      "is not a whole number from 1 on",
    );
  });

  it("of nothing, and to where nothing can be written, is a sentence", async () => {
    const config = join(dir, "none.yaml");
    writeFileSync(config, `data: ${dir}/nothing\nmissions: ${dir}/none\n`);
    expect((await run("--config", config, "backup", file("y.tar.gz"))).stderr).toContain(
      "there is nothing to back up",
    );
    const { code, stderr } = await run("backup", "/proc/nowhere/z.tar.gz");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^lazarus: writing to \/proc\/nowhere: /);
  });

  it("on a full disk says so, and leaves nothing", async () => {
    const small = file("small");
    mkdirSync(small);
    let isMounted = true;
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small], { stdio: "ignore" });
    } catch {
      // Not everybody may mount: a file that is full for every write then.
      isMounted = false;
    }
    if (!isMounted) return;
    try {
      const { code, stderr } = await run("backup", join(small, "full.tar.gz"));
      expect(stderr).toContain("the disk is full");
      expect(code).toBe(1);
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync("umount", [small]);
    }
  });
});

describe("lazarus restore", () => {
  it("looks whether a backup is whole, and changes nothing", async () => {
    const { code, stdout } = await run("restore", file("whole.tar.gz"), "--check");
    expect(stdout).toMatch(/^It is whole: of 20.*schema \d+, 1 cells$/m);
    expect(code).toBe(0);
  });

  it("refuses what is damaged, newer, or none at all, each with a sentence", async () => {
    const bytes = readFileSync(file("whole.tar.gz"));
    writeFileSync(file("cut.tar.gz"), bytes.subarray(0, bytes.length / 2));
    writeFileSync(file("text.tar.gz"), "no backup\n");
    const flipped = changed("flipped.tar.gz", (inside) =>
      writeFileSync(join(inside, "heartbeat.key"), "other"),
    );
    const strange = changed("strange.tar.gz", (inside) => writeFileSync(join(inside, "evil"), "x"));
    const newer = changed("newer.tar.gz", (inside) => {
      const path = join(inside, "manifest.json");
      const manifest = JSON.parse(readFileSync(path, "utf8")) as { schema: number };
      writeFileSync(path, JSON.stringify({ ...manifest, schema: 999 }));
    });
    for (const [name, said] of [
      [file("cut.tar.gz"), "it is damaged"],
      [file("text.tar.gz"), "is no backup of Lazarus"],
      [flipped, "heartbeat.key is not what the manifest says"],
      [strange, 'it holds "evil"'],
      [newer, "which is newer (schema 999"],
      [file("gone.tar.gz"), "is not there"],
    ] as const) {
      const { code, stderr } = await run("restore", name, "--check");
      expect(stderr).toContain(said);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(code).not.toBe(0);
    }
  });

  it("never touches data in use, nor data that is not empty", async () => {
    expect((await run("restore", file("whole.tar.gz"))).stderr).toContain(
      "a lazarus is at work on it: stop it first",
    );
    await stage.lazarus.end();
    expect((await run("restore", file("whole.tar.gz"))).stderr).toContain("it is not empty");
    renameSync(stage.lazarus.dataDir, file("old-data"));
    expect((await run("restore", file("whole.tar.gz"))).stderr).toContain(`${cellId} is there already`);
    expect(existsSync(stage.lazarus.dataDir)).toBe(false);
    renameSync(file("old-data"), stage.lazarus.dataDir);
    expect(readdirSync(stage.lazarus.dataDir)).toContain("lazarus.db");
  });

  it("brings back the cell with its work, runs nothing of old, and the cell goes on", async () => {
    const issue = await stage.openIssue("Typed after the backup");
    await stage.type(stage.dev, issue, "/lazarus summon plain");
    renameSync(stage.lazarus.dataDir, file("old-data"));
    renameSync(stage.lazarus.missionsDir, file("old-missions"));
    // The forge keeps whole seconds.
    const { code, stdout, stderr } = await run("restore", file("whole.tar.gz"));
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toContain("What people typed since then is not run.");
    expect(await stage.lazarus.readCell(cellId, "worktree/made.txt")).toBe("made\n");
    const key = join(stage.lazarus.dataDir, "runners.key");
    expect([readFileSync(key, "utf8"), statSync(key).mode & 0o777]).toEqual([RUNNERS_KEY, 0o600]);
    await stage.lazarus.serve();
    expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "done" });
    const fresh = await stage.openIssue("Typed after the restore");
    await stage.type(stage.dev, fresh, "/lazarus summon plain");
    await stage.card(fresh, /→ draft #\d+/);
    expect((await stage.lazarus.cells()).length).toBe(2);
    const { stdout: closed } = await run("close", cellId);
    expect(closed).toContain(cellId.slice(0, 8));
    expect((await stage.status(cellId)).state).toBe("archived");
  });
});

describe("before a migration", () => {
  /** A registry as an older program left it. */
  function registry(schema: number): string {
    const data = mkdtempSync(join(dir, "data-"));
    const old = new Database(join(data, "lazarus.db"));
    for (const migration of MIGRATIONS.slice(0, schema)) old.exec(migration);
    old.pragma(`user_version = ${schema}`);
    old.close();
    return data;
  }
  const config = (data: string) => {
    writeFileSync(file("m.yaml"), `data: ${data}\nmissions: ${dir}/m\n`);
    return file("m.yaml");
  };

  it.each(Array.from({ length: MIGRATIONS.length - 4 }, (_, at) => at + 5))(
    "the registry of schema %i is copied, and opens",
    async (schema) => {
      const data = registry(schema);
      const { openDb } = await import("../../src/store/db.ts");
      openDb(join(data, "lazarus.db")).close();
      const copies = readdirSync(data).filter((name) => name.includes("before"));
      expect(copies).toEqual(schema === MIGRATIONS.length ? [] : [`lazarus.db.before-${schema}`]);
    },
  );

  it("keeps the last three copies", async () => {
    const data = registry(9);
    for (const schema of [4, 5, 6, 7]) writeFileSync(join(data, `lazarus.db.before-${schema}`), "");
    const { openDb } = await import("../../src/store/db.ts");
    openDb(join(data, "lazarus.db")).close();
    expect(
      readdirSync(data)
        .filter((name) => name.includes("before"))
        .sort(),
    ).toEqual(["lazarus.db.before-6", "lazarus.db.before-7", "lazarus.db.before-9"]);
  });

  it("an older program refuses, with the command that goes back", async () => {
    const data = registry(MIGRATIONS.length);
    const newer = new Database(join(data, "lazarus.db"));
    newer.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    newer.close();
    const refused = await run("--config", config(data), "status");
    expect(refused.stderr).toContain("it was written by a newer Lazarus");
    expect(refused.stderr).not.toContain("cp ");
    execFileSync("cp", [
      join(registry(MIGRATIONS.length), "lazarus.db"),
      join(data, `lazarus.db.before-${MIGRATIONS.length}`),
    ]);
    const { stderr } = await run("--config", config(data), "status");
    const [, command = ""] = /written since: (cp .*)$/m.exec(stderr) ?? [];
    expect(command).toContain(`before-${MIGRATIONS.length}`);
    execFileSync("sh", ["-c", command]);
    expect((await run("--config", config(data), "status")).code).toBe(0);
  });
});
