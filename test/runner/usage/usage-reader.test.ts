import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepUsedBefore } from "../../../src/runner/usage/hermes.ts";
import { tellUsed, UsageReader } from "../../../src/runner/usage/usage-reader.ts";

let dir: string;
const at = (...names: string[]) => join(dir, ...names);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-usage-"));
  for (const name of ["logs", "state", "home/allegro"]) mkdirSync(at(name), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const event = (value: object) => `${JSON.stringify(value)}\n`;
const step = (id: string, cost: number, input = 100) =>
  event({
    type: "step_finish",
    sessionID: "ses_1",
    part: { id, cost, tokens: { input, output: 0, cache: { read: 0, write: 0 } } },
  });
const codex = (thread: string, input: number) =>
  event({ type: "thread.started", thread_id: thread }) +
  event({ type: "turn.completed", usage: { input_tokens: input, output_tokens: 0 } });
const log = (run: number, text: string) => writeFileSync(at(`logs/allegro-${run}.log`), text);
const reader = (run = 1, preset: "hermes" | null = null) =>
  new UsageReader({ cellDir: dir, run, agent: "allegro", preset });

describe("a log that grows", () => {
  it("is read on from where it was, also in the middle of a line", async () => {
    const of = reader();
    expect(await of.look()).toBeNull();
    const second = step("b", 0.5);
    log(1, step("a", 1) + second.slice(0, 40));
    expect(await of.look()).toEqual({ costUsd: 1, tokens: 100 });
    appendFileSync(at("logs/allegro-1.log"), second.slice(40));
    expect(await of.look()).toEqual({ costUsd: 1.5, tokens: 200 });
  });

  it("is read again where its middle was cut out, and nothing counts twice", async () => {
    const of = reader();
    log(1, step("a", 1) + step("b", 1) + "x".repeat(5_000));
    await of.look();
    truncateSync(at("logs/allegro-1.log"), 0);
    log(1, step("a", 1) + step("c", 1));
    expect(await of.look()).toEqual({ costUsd: 3, tokens: 300 });
  });

  it("is read past a line that is too long to be an event", async () => {
    log(1, `${step("a", 1)}{"usage": "${"x".repeat(5 * 1024 * 1024)}\n${step("b", 1)}`);
    expect(await reader().look({ isWhole: true })).toEqual({ costUsd: 2, tokens: 200 });
  });

  it("is not read where it is a link, or bears a second name", async () => {
    writeFileSync(at("other"), step("a", 1));
    symlinkSync(at("other"), at("logs/allegro-1.log"));
    expect(await reader().look()).toBeNull();
    linkSync(at("other"), at("logs/allegro-2.log"));
    expect(await reader(2).look()).toBeNull();
  });
});

describe("a session that goes on", () => {
  it("counts what this run added: codex tells all of its session", async () => {
    log(1, codex("t-1", 200));
    log(2, "nothing\n");
    log(3, codex("t-1", 500));
    expect(await reader(3).look()).toEqual({ costUsd: null, tokens: 300 });
  });

  it("counts all where the session is another", async () => {
    log(1, codex("t-1", 200));
    log(2, codex("t-2", 250));
    expect(await reader(2).look()).toEqual({ costUsd: null, tokens: 250 });
  });
});

describe("hermes", () => {
  const COLUMNS = `id TEXT PRIMARY KEY, source TEXT NOT NULL, model_config TEXT, system_prompt TEXT,
    started_at REAL NOT NULL, -- a comment, with a comma
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0, estimated_cost_usd REAL, cost_status TEXT CHECK (cost_status <> ','),
    parent_session_id TEXT, FOREIGN KEY (parent_session_id) REFERENCES sessions (id)`;

  function home(): Database.Database {
    const db = new Database(at("home/allegro/state.db"));
    db.pragma("journal_mode = WAL");
    db.exec(`CREATE TABLE schema_version (version INTEGER); CREATE TABLE sessions (${COLUMNS})`);
    return db;
  }
  const add = (db: Database.Database, id: string, tokens: number, cost: number | null) =>
    db
      .prepare(
        `INSERT INTO sessions (id, source, system_prompt, started_at, input_tokens, output_tokens, estimated_cost_usd)
         VALUES (@id, 'tool', @prompt, 1.5, @tokens, 0, @cost)`,
      )
      // Longer than a page, as real ones are: what comes after it lies on others.
      .run({ id, tokens, cost, prompt: "You are. ".repeat(4_000) });

  it("is read while it works, also what its log alone holds", async () => {
    const db = home();
    add(db, "s1", 1_000, 0.25);
    db.pragma("wal_checkpoint(TRUNCATE)");
    for (let n = 0; n < 300; n++) add(db, `more-${n}`, 10, 0.001);
    const used = await reader(1, "hermes").look();
    expect([used?.costUsd?.toFixed(3), used?.tokens]).toEqual(["0.550", 4_000]);
    add(db, "last", 5, 1);
    expect((await reader(1, "hermes").look())?.tokens).toBe(4_005);
    db.close();
    expect((await reader(1, "hermes").look())?.tokens).toBe(4_005);
  });

  it("counts what this run added to what its home brought", async () => {
    const db = home();
    add(db, "of the template", 700, 2);
    await keepUsedBefore({ cellDir: dir, run: 1, agent: "allegro" });
    add(db, "s1", 50, 0.5);
    // Asked again, it is kept as it was.
    await keepUsedBefore({ cellDir: dir, run: 1, agent: "allegro" });
    expect(await reader(1, "hermes").look()).toEqual({ costUsd: 0.5, tokens: 50 });
    db.close();
  });

  it.each([
    ["no database", () => writeFileSync(at("home/allegro/state.db"), "hello".repeat(1_000))],
    ["an empty file", () => writeFileSync(at("home/allegro/state.db"), "")],
    ["a link", () => symlinkSync("/etc/passwd", at("home/allegro/state.db"))],
    ["a directory", () => mkdirSync(at("home/allegro/state.db"))],
    ["another table", () => new Database(at("home/allegro/state.db")).exec("CREATE TABLE x (y)").close()],
  ])("tells nothing where its file is %s", async (_, make) => {
    make();
    expect(await reader(1, "hermes").look()).toBeNull();
  });

  it("comes to an end with whatever bytes its file has", async () => {
    const db = home();
    for (let n = 0; n < 30; n++) add(db, `s${n}`, 10, 0.001);
    db.close();
    const whole = (await import("node:fs")).readFileSync(at("home/allegro/state.db"));
    for (let n = 0; n < 150; n++) {
      const bytes = Buffer.from(whole);
      // Pages of trees are at the beginning of the file, and say where everything is.
      for (let hit = 0; hit < 20; hit++)
        bytes[(n * 7_919 + hit * 104_729) % (n % 2 === 0 ? 9_000 : bytes.length)] =
          (n * 31 + hit * 17) & 0xff;
      writeFileSync(at("home/allegro/state.db"), bytes);
      const used = await reader(1, "hermes").look();
      expect(used === null || used.tokens === null || used.tokens >= 0).toBe(true);
    }
  });
});

it("tells what is new alone", () => {
  const said: unknown[] = [];
  const to = { cellId: "c", run: 1, report: (one: { payload: unknown }) => void said.push(one.payload) };
  const first = tellUsed({ costUsd: 1, tokens: null }, null, to);
  const second = tellUsed({ costUsd: 1, tokens: null }, first, to);
  expect(tellUsed(null, second, to)).toEqual({ costUsd: 1, tokens: null });
  expect(said).toEqual([{ cellId: "c", run: 1, usage: { costUsd: 1, tokens: null } }]);
});
