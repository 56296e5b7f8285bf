import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { keepStatements } from "../../src/store/statements.ts";

function open(): Database.Database {
  const sql = new Database(":memory:");
  sql.prepare = keepStatements(sql.prepare.bind(sql)) as typeof sql.prepare;
  return sql;
}

const ONE = "SELECT @n AS n";

it("prepares a text once, and one that is plucked apart from it", () => {
  const sql = open();
  const [first, again] = [sql.prepare(ONE), sql.prepare(ONE)];
  expect(again).toBe(first);
  const plucked = first.pluck();
  expect(sql.prepare(ONE).pluck()).toBe(plucked);
  expect([first.get({ n: 1 }), plucked.get({ n: 2 }), first.get({ n: 3 })]).toEqual([{ n: 1 }, 2, { n: 3 }]);
});

it("sees a table that was changed since, and makes all anew once there are too many", () => {
  const sql = open();
  sql.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  const first = sql.prepare("SELECT * FROM t");
  expect(first.get()).toEqual({ a: 1 });
  sql.exec("ALTER TABLE t ADD COLUMN b DEFAULT 2");
  expect(sql.prepare("SELECT * FROM t").get()).toEqual({ a: 1, b: 2 });
  for (let n = 0; n < 1_000; n++) sql.prepare(`SELECT ${n}`);
  const anew = sql.prepare("SELECT * FROM t");
  expect(anew).not.toBe(first);
  expect(anew.get()).toEqual({ a: 1, b: 2 });
});
