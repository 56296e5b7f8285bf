import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Registry } from "../../src/cells/registry/registry.ts";
import { systemClock } from "../../src/clock.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";

/** The schema of 0.1.0, as the first wave was released. */
const SCHEMA_OF_0_1_0 = 5;

let dir: string;
let db: Db | null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-migrations-"));
  db = null;
});
afterEach(() => {
  db?.close();
  rmSync(dir, { recursive: true });
});

/** A registry of 0.1.0 with one cell, its run and more columns as they stood. */
function registryOf010(cell: Record<string, unknown> = {}, run: Record<string, unknown> = {}): Registry {
  const path = join(dir, "lazarus.db");
  const old = new Database(path);
  for (const migration of MIGRATIONS.slice(0, SCHEMA_OF_0_1_0)) old.exec(migration);
  old.pragma(`user_version = ${SCHEMA_OF_0_1_0}`);
  const insert = (table: string, row: Record<string, unknown>) => {
    const names = Object.keys(row);
    const values = names.map((name) => `@${name}`);
    old.prepare(`INSERT INTO ${table} (${names.join()}) VALUES (${values.join()})`).run(row);
  };
  insert("cells", {
    ...{
      id: "c",
      seq: 1,
      state: "idle",
      repository: 7,
      full_name: "acme/app",
      number: 262,
      is_pull_request: 0,
    },
    ...{ title: "t", issue_url: "u", requester_id: 3, requester_login: "dev", agent: "allegro" },
    ...{ waits_for_approval: 0, base_name: "main", base_ref: "refs/heads/main", base_commit: "b" },
    ...{ branch: "lazarus/c", delivery: "draft", merge_into: '{"repository":"acme/app","branch":"main"}' },
    ...{ brief: "the brief", brief_sha256: "s", created_at: 1, expires_at: 2, ...cell },
  });
  insert("runs", {
    ...{ cell: "c", n: 1, agent: "allegro", role: "executor", state: "ended", requester_id: 3 },
    ...{ requester_login: "dev", created_at: 1, started_at: 1, ended_at: 2, ...run },
  });
  old.close();
  db = openDb(path);
  return new Registry(db, systemClock);
}

it("opens a registry of 0.1.0, with its cells, runs and a prompt for each", () => {
  const registry = registryOf010();
  expect(registry.cell("c")).toMatchObject({ id: "c", reason: null, runner: "local", brief: "the brief" });
  expect(registry.run("c", 1)).toMatchObject({ stopCause: null, exitSays: null, setup: null });
  expect(registry.prompts.of({ cellId: "c", n: 1 })).toMatchObject({ kind: "brief" });
});

it.each<[Record<string, unknown>, object]>([
  [
    { state: "proposed", waits_for_approval: 1, reason: "the text was changed" },
    { approval: "the text was changed", notStarted: null },
  ],
  [
    { reason: "disk full (it is tried again by itself)" },
    { stuck: { job: "", why: "disk full", isOver: false }, notStarted: null },
  ],
  [
    { reason: "disk full (tried often enough: a person must look)" },
    { stuck: { job: "", why: "disk full", isOver: true }, notStarted: null },
  ],
  [{ reason: "its directory is gone" }, { directoryTrouble: "gone", reason: "its directory is gone" }],
  [
    {
      reason: "somebody pushed to lazarus/c meanwhile: this went to lazarus/d",
      published_branch: "lazarus/d",
    },
    { divertedFrom: "lazarus/c", reason: "somebody pushed to lazarus/c meanwhile: this went to lazarus/d" },
  ],
  [
    { reason: "not published: protected", push_refused: "protected" },
    { pushRefused: "protected", notStarted: null, reason: "not published: protected" },
  ],
  [
    { state: "archived", outcome: "failed", reason: "there is no agent allegro" },
    { notStarted: "there is no agent allegro", reason: "there is no agent allegro" },
  ],
])("reads what an old reason meant: %j", (old, now) => {
  expect(registryOf010(old).cell("c")).toMatchObject(now);
});

it.each<[Record<string, unknown>, object]>([
  [
    { stopped: "over its wall clock of 2h" },
    { stopCause: "over-limit", stopped: "over its wall clock of 2h" },
  ],
  [{ stopped: "stopped by dev" }, { stopCause: "asked" }],
  [{ stopped: "closed by owner" }, { stopCause: "closed" }],
  [{ stopped: "there is no agent", started_at: null }, { stopCause: "refused" }],
  [
    { exit_class: "crashed", exit_why: "exit 1: no: way" },
    { exitWhy: "exit 1", exitSays: "no: way" },
  ],
  [
    { exit_class: "crashed", exit_why: "exit 3" },
    { exitWhy: "exit 3", exitSays: null },
  ],
  [{ exit_class: "quota", exit_why: "limit reached" }, { exitSays: "limit reached" }],
])("reads how an old run ended: %j", (old, now) => {
  expect(registryOf010({}, old).run("c", 1)).toMatchObject(now);
});
