import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LazarusError } from "../../src/errors.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { PROGRAMS } from "../fakes/programs.ts";
import { until } from "../fakes/until.ts";

function failure(fn: () => unknown): LazarusError {
  try {
    fn();
  } catch (error) {
    if (error instanceof LazarusError) return error;
    throw error;
  }
  throw new Error("it should have failed");
}

describe("the registry's file", () => {
  let dir: string;
  let path: string;
  let opened: Db[];
  const open = (): Db => {
    const db = openDb(path);
    opened.push(db);
    return db;
  };
  /** With a table of its own and a second connection, which sees only what was committed. */
  function withMarks() {
    const db = open();
    const other = open();
    db.sql.exec("CREATE TABLE marks (mark TEXT UNIQUE) STRICT");
    const mark = (text: string) => db.sql.prepare("INSERT INTO marks VALUES (?)").run(text);
    const committed = () => other.sql.prepare("SELECT mark FROM marks ORDER BY rowid").pluck().all();
    return { db, other, mark, committed };
  }

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "lazarus-db-"));
    path = join(dir, "registry.db");
    opened = [];
  });
  afterEach(() => {
    for (const db of opened) db.close();
    rmSync(dir, { recursive: true });
  });

  it("is migrated, in WAL mode, and synced at every commit, also when it is opened again", () => {
    for (let times = 0; times < 2; times++) {
      const db = open();
      expect(db.sql.pragma("journal_mode", { simple: true })).toBe("wal");
      expect(db.sql.pragma("synchronous", { simple: true })).toBe(2);
      expect(db.sql.pragma("foreign_keys", { simple: true })).toBe(1);
      expect(db.sql.pragma("user_version", { simple: true })).toBe(MIGRATIONS.length);
      db.close();
    }
  });

  it("is not synced at the commits of what may be lost, and is at the next one, also after a throw", () => {
    const { db, mark, committed } = withMarks();
    const synchronous = () => db.sql.pragma("synchronous", { simple: true });
    expect(db.transactionWithoutSync(() => [mark("a").changes, synchronous()])).toEqual([1, 1]);
    expect([committed(), synchronous()]).toEqual([["a"], 2]);
    const broken = () => {
      mark("b");
      throw new Error("no");
    };
    expect(() => db.transactionWithoutSync(broken)).toThrow("no");
    expect([committed(), synchronous()]).toEqual([["a"], 2]);
  });

  it("of a newer Lazarus is refused untouched", () => {
    open().close();
    const sql = new Database(path);
    sql.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    sql.close();
    const error = failure(open);
    expect(error.code).toBe("registry-newer");
    expect(error.message).toContain(`schema ${MIGRATIONS.length + 1}`);
    expect(error.retryable).toBe(false);
  });

  it("that is no database is refused by name", () => {
    writeFileSync(path, "this is a letter to my aunt, not a database\n".repeat(100));
    const error = failure(open);
    expect(error.code).toBe("registry-unusable");
    expect(error.message).toContain(path);
  });

  it("in a directory that is not there is refused by name", () => {
    path = join(dir, "nowhere", "registry.db");
    expect(failure(open)).toMatchObject({
      code: "registry-unusable",
      message: expect.stringContaining(path),
    });
  });

  it("that cannot be written is refused by name", () => {
    // A directory in the place of the write-ahead log stops root, too; modes alone would not.
    const sql = new Database(path);
    sql.exec("CREATE TABLE t (a)");
    sql.close();
    mkdirSync(`${path}-wal`);
    chmodSync(path, 0o400);
    expect(failure(open)).toMatchObject({
      code: "registry-unusable",
      message: expect.stringContaining(path),
    });
  });

  describe("locked by another process", () => {
    let child: ChildProcess | undefined;
    afterEach(() => {
      child?.kill("SIGKILL");
    });

    it("is refused as such, and may be tried again", async () => {
      const out = join(dir, "out");
      child = spawn(process.execPath, [PROGRAMS.queueProcess.built, "lock", path, out], { stdio: "inherit" });
      await until("it has the lock", () => existsSync(out));
      const error = failure(open);
      expect(error).toMatchObject({ code: "registry-unusable", retryable: true });
      expect(error.message).toContain("another program has it locked");
    });
  });

  describe("transaction", () => {
    it("inside another one is undone alone", () => {
      const { db, mark, committed } = withMarks();
      db.transaction(() => {
        mark("outer");
        expect(() =>
          db.transaction(() => {
            mark("inner");
            throw new Error("inner failed");
          }),
        ).toThrow("inner failed");
      });
      expect(committed()).toEqual(["outer"]);
    });

    it("calls what waits for its commit after it, in order", () => {
      const { db, mark, committed } = withMarks();
      const seen: unknown[] = [];
      db.transaction(() => {
        db.afterCommit(() => seen.push("first", committed()));
        db.transaction(() => db.afterCommit(() => seen.push("second")));
        mark("a");
        expect(seen).toEqual([]);
      });
      expect(seen).toEqual(["first", ["a"], "second"]);
      db.afterCommit(() => seen.push("at once"));
      expect(seen).toContain("at once");
    });

    it("drops what waits for its commit when it is rolled back, the inner one's alone where only that failed", () => {
      const { db } = withMarks();
      const seen: string[] = [];
      const fail = (name: string) => () => {
        db.afterCommit(() => seen.push(name));
        throw new Error(name);
      };
      expect(() => db.transaction(fail("whole"))).toThrow("whole");
      db.transaction(() => {
        db.afterCommit(() => seen.push("kept"));
        expect(() => db.transaction(fail("inner"))).toThrow("inner");
      });
      db.transaction(() => {});
      expect(seen).toEqual(["kept"]);
    });
  });

  describe("commitTogether", () => {
    it("shares one commit among all of one turn, and answers after it", async () => {
      const { db, other, mark, committed } = withMarks();
      committed();
      const before = other.foreignVersion();
      const seen: unknown[] = [];
      const all = ["a", "b", "c"].map((text) =>
        db.commitTogether(() => mark(text)).then(() => seen.push(committed())),
      );
      expect(committed()).toEqual([]);
      await Promise.all(all);
      expect(seen).toEqual([
        ["a", "b", "c"],
        ["a", "b", "c"],
        ["a", "b", "c"],
      ]);
      expect(other.foreignVersion()).toBe(before + 1);
    });

    it("undoes only what failed, with what waited for its commit", async () => {
      const { db, mark, committed } = withMarks();
      const after: string[] = [];
      const one = (text: string, fails = false) =>
        db.commitTogether(() => {
          mark(text);
          db.afterCommit(() => after.push(text));
          if (fails) throw new Error(`${text} failed`);
          return text;
        });
      const outcomes = await Promise.allSettled([one("a"), one("b", true), one("a"), one("c")]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual([
        "fulfilled",
        "rejected",
        "rejected",
        "fulfilled",
      ]);
      expect(committed()).toEqual(["a", "c"]);
      expect(after).toEqual(["a", "c"]);
    });

    it("answers nobody with success when the commit itself fails", async () => {
      const { db, mark, committed } = withMarks();
      db.sql.exec("CREATE TABLE owed (m TEXT REFERENCES marks(mark) DEFERRABLE INITIALLY DEFERRED)");
      const fine = db.commitTogether(() => mark("a"));
      const breaks = db.commitTogether(() => db.sql.exec("INSERT INTO owed VALUES ('nobody')"));
      await expect(fine).rejects.toThrow("FOREIGN KEY");
      await expect(breaks).rejects.toThrow("FOREIGN KEY");
      expect(committed()).toEqual([]);
      await db.commitTogether(() => mark("b"));
      expect(committed()).toEqual(["b"]);
    });
  });

  it("tells by its foreign version of the commits of others only", () => {
    const { db, other, mark } = withMarks();
    const mine = db.foreignVersion();
    const theirs = other.foreignVersion();
    mark("a");
    expect(db.foreignVersion()).toBe(mine);
    expect(other.foreignVersion()).not.toBe(theirs);
  });
});
