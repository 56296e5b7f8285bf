import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLocalQueue } from "../../src/queue/local.ts";
import type { NewJob, Queue } from "../../src/queue/queue.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { createFakeClock, type FakeClock } from "../fakes/clock.ts";
import { type CountedSql, countSql } from "../fakes/counted-sql.ts";
import { until } from "../fakes/until.ts";

let dir: string;
let db: Db;
let queue: Queue;
let clock: FakeClock;
let counted: CountedSql;
let open: () => void;
let opened: Promise<void>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-work-"));
  clock = createFakeClock();
  db = openDb(join(dir, "registry.db"));
  counted = countSql(db);
  opened = new Promise((resolve) => {
    open = resolve;
  });
  queue = createLocalQueue({
    ...{ db, clock, concurrency: { events: 5_000 } },
    log: { info() {}, warn() {}, error() {} },
  });
});
afterEach(async () => {
  open();
  const closing = queue.close(1);
  await clock.advance(2);
  await closing;
  db.close();
  rmSync(dir, { recursive: true });
});

const CELL = "4f1c0b7e-1111-4222-8333-444455556666";
const admit = (n: number, more: Partial<NewJob<"admit">> = {}): NewJob<"admit"> => ({
  ...{ kind: "admit", key: `${CELL}:${n}:admit`, lane: `cell:${n}` },
  payload: { cellId: CELL, run: n },
  ...more,
});
const keys = (of: Db = db) =>
  of.sql.prepare("SELECT key FROM job_keys ORDER BY key").pluck().all() as string[];

describe("a claim", () => {
  it("names no lane of those at work, however many there are: their rows hold them", async () => {
    const started: number[] = [];
    const put = (from: number, to: number) =>
      db.transaction(() => {
        for (let n = from; n < to; n++) queue.put(admit(n));
      });
    put(0, 2_000);
    queue.work({
      admit: async (job) => {
        started.push(job.payload.run);
        await opened;
        return undefined;
      },
    });
    await until("all are at work", () => started.length === 2_000);
    counted.reset();
    put(2_000, 2_001);
    queue.put(admit(0, { key: "again" }));
    await until("the next one is", () => started.length === 2_001);
    expect(counted.longestBound).toBeLessThan(1_000);
    expect(counted.rows).toBeLessThan(20);
    expect(started.filter((n) => n === 0)).toHaveLength(1);
  });

  /** The first job is ended while its handler is at work. */
  const ENDS: readonly [string, () => void][] = [
    ["here", () => void queue.end({ lane: "cell:1", kinds: ["admit"] }, "nobody needs it")],
    [
      "by another process",
      () => {
        const other = openDb(join(dir, "registry.db"));
        other.sql
          .prepare("UPDATE jobs SET state = 'ended', lease = NULL, ended_at = 1 WHERE key = 'first'")
          .run();
        other.close();
      },
    ],
  ];
  it.each(ENDS)(
    "leaves the lane of a job that was ended %s alone until its handler has settled",
    async (_, end) => {
      const started: string[] = [];
      queue.work({
        admit: async (job) => {
          started.push(job.key);
          if (job.key === "first") await opened;
          return undefined;
        },
      });
      queue.put(admit(1, { key: "first" }));
      await until("it is at work", () => started.length === 1);
      end();
      queue.put(admit(1, { key: "second" }));
      queue.put(admit(2, { key: "elsewhere" }));
      await until("another lane is", () => started.includes("elsewhere"));
      expect(started).toEqual(["first", "elsewhere"]);
      open();
      await until("the lane is free", () => started.includes("second"));
    },
  );
});

it("looks a step up by its key, whatever is dead", () => {
  db.transaction(() => {
    for (let n = 0; n < 10_000; n++) queue.put(admit(n));
  });
  db.sql.exec("UPDATE jobs SET state = 'dead', ended_at = 1");
  counted.reset();
  expect(queue.put(admit(7))).toBe("duplicate");
  expect(queue.retryByKey(`${CELL}:7:admit`)).toBe(true);
  expect(counted.rows).toBeLessThanOrEqual(2);
  expect(counted.statements).toBeLessThanOrEqual(4);
  expect(queue.stats()).toMatchObject({ dead: 9_999, waiting: 1 });
});

describe("keys of rows that are pruned", () => {
  const OTHER = "9ab24c11-1111-4222-8333-444455556666";
  const FRESH = "0b7e4f1c-1111-4222-8333-444455556666";
  const FROM_FORGE = "7:comment:12:0";

  function putAll(): void {
    queue.put(admit(1, { key: FRESH }));
    queue.put(admit(1, { key: `cli:${FRESH}` }));
    queue.put(admit(1, { key: FROM_FORGE }));
    queue.put(admit(1));
    queue.put(admit(1, { key: `${OTHER}:1:admit` }));
    db.sql.exec("UPDATE jobs SET state = 'done', ended_at = 100");
  }

  it("go where they are fresh, or of a cell that is over, and stay where somebody may say them again", () => {
    putAll();
    expect(queue.prune(101, (subject) => subject === CELL)).toBe(5);
    expect(keys()).toEqual([FROM_FORGE, `${OTHER}:1:admit`]);
    expect(queue.put(admit(1, { key: FROM_FORGE }))).toBe("duplicate");
    expect(queue.put(admit(1, { key: `${OTHER}:1:admit` }))).toBe("duplicate");
  });

  it("stay as long as their rows, also those that were folded into another's", () => {
    putAll();
    const merge = { tag: "t", fold: <T>(waiting: T) => waiting };
    const [one, two] = ["1", "2"].map((n) => `${n}b7e4f1c-1111-4222-8333-444455556666`);
    queue.put(admit(1, { key: one ?? "", merge }));
    queue.put(admit(1, { key: two ?? "", merge }));
    expect(queue.prune(100, () => true)).toBe(0);
    expect(keys()).toHaveLength(7);
    queue.put(admit(2));
    queue.prune(101, (subject) => subject === CELL);
    expect(keys()).toEqual([one, `${CELL}:2:admit`, two, FROM_FORGE, `${OTHER}:1:admit`].sort());
    db.sql.exec("UPDATE jobs SET state = 'done', ended_at = 200");
    queue.prune(201, (subject) => subject === CELL);
    expect(keys()).toEqual([FROM_FORGE, `${OTHER}:1:admit`]);
  });

  it("of cells that were destroyed before this version go with its first start", () => {
    putAll();
    expect(keys()).toHaveLength(5);
    const old = new Database(join(dir, "old.db"));
    for (const migration of MIGRATIONS.slice(0, 18)) old.exec(migration);
    old.pragma("user_version = 18");
    for (const key of keys()) old.prepare("INSERT INTO job_keys (key, job_id) VALUES (?, 'gone')").run(key);
    old.close();
    const again = openDb(join(dir, "old.db"));
    expect(keys(again)).toEqual([`${CELL}:1:admit`, FROM_FORGE, `${OTHER}:1:admit`]);
    again.close();
  });
});

describe("places in the queue of replies", () => {
  const put = (kind: "draft" | "card", n: number) =>
    queue.put({ kind, key: `${CELL}:${kind}:${n}`, lane: `${kind}:${n}`, payload: { cellId: CELL } });
  const react = (n: number) =>
    queue.put({
      ...{ kind: "react", key: `react:7:comment:${n}:eyes`, lane: `react:7:${n}` },
      payload: { repository: { id: 7, fullName: "acme/app" }, commentId: n, reaction: "eyes" },
    });

  it("are shared, so that drafts that hang hold up no card, and neither holds up a reaction", async () => {
    const started: string[] = [];
    const hang = async (job: { readonly kind: string }) => {
      started.push(job.kind);
      await opened;
      return undefined;
    };
    const isAtWork = (kind: string) => started.filter((one) => one === kind).length;
    db.transaction(() => {
      for (let n = 0; n < 20; n++) put("draft", n);
      for (let n = 0; n < 20; n++) put("card", n);
      for (let n = 0; n < 5; n++) react(n);
    });
    queue.work({ draft: hang, card: hang, react: async (job) => void started.push(job.kind) });
    await until("all reactions are there", () => isAtWork("react") === 5);
    expect([isAtWork("draft"), isAtWork("card")]).toEqual([3, 2]);
    open();
    await until("everything is done", () => isAtWork("draft") === 20 && isAtWork("card") === 20);
  });
});
