import { mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { openDb } from "../../src/store/db.ts";
import { WalSync } from "../../src/store/wal-sync.ts";
import { until } from "../fakes/until.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus wal-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A sync that ends when it is told to. */
function held() {
  const begun: { end(error?: Error): void }[] = [];
  const syncFd = () =>
    new Promise<void>((resolve, reject) =>
      begun.push({ end: (error) => (error === undefined ? resolve() : reject(error)) }),
    );
  return { begun, wal: new WalSync(openSync("/dev/null", "r"), syncFd) };
}

const turn = () => new Promise(setImmediate);

it("begins a sync after each commit, and those that come meanwhile share the next one", async () => {
  const { begun, wal } = held();
  const ended: string[] = [];
  const ask = (name: string) => void wal.sync().then(() => ended.push(name));
  ask("a");
  ask("b");
  ask("c");
  await turn();
  expect([begun.length, ended]).toEqual([1, []]);
  begun[0]?.end();
  await turn();
  expect([begun.length, ended]).toEqual([2, ["a"]]);
  ask("d");
  begun[1]?.end();
  await turn();
  expect([begun.length, ended]).toEqual([3, ["a", "b", "c"]]);
  begun[2]?.end();
  await turn();
  expect(ended).toEqual(["a", "b", "c", "d"]);
});

it("tells whom a failed sync left in doubt, and tries again for the next", async () => {
  const { begun, wal } = held();
  const ended = Promise.allSettled([wal.sync(), wal.sync()]);
  begun[0]?.end(new Error("EIO"));
  await turn();
  begun[1]?.end();
  expect((await ended).map((one) => one.status)).toEqual(["rejected", "fulfilled"]);
});

it("is a registry's, which acknowledges nothing before it, and then all at once", async () => {
  const { begun, wal } = held();
  vi.spyOn(WalSync, "of").mockReturnValueOnce(wal);
  const db = openDb(join(dir, "registry.db"));
  db.sql.exec("CREATE TABLE marks (mark TEXT PRIMARY KEY)");
  const other = openDb(join(dir, "registry.db"));
  const seen = () => other.sql.prepare("SELECT mark FROM marks ORDER BY mark").pluck().all();
  const put = (mark: string) =>
    db.commitBehind(() => void db.sql.prepare("INSERT INTO marks VALUES (@mark)").run({ mark }));
  const ended: string[] = [];
  const outcomes = Promise.allSettled(["a", "b", "a"].map((mark) => put(mark).then(() => ended.push(mark))));
  await turn();
  expect([begun.length, seen(), ended]).toEqual([1, ["a", "b"], []]);
  begun[0]?.end();
  expect((await outcomes).map((one) => one.status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(db.sql.pragma("synchronous", { simple: true })).toBe(2);
  db.close();
  other.close();
});

it("is of the log of a registry that is open, and closes it with the registry", async () => {
  const path = join(dir, "real.db");
  const db = openDb(path);
  db.sql.exec("CREATE TABLE marks (mark TEXT PRIMARY KEY)");
  await db.commitBehind(() => db.sql.exec("INSERT INTO marks VALUES ('a')"));
  const open = () =>
    readdirSync("/proc/self/fd").flatMap((fd) => {
      const at = readlinkOf(fd);
      return at.startsWith(path) ? [at.slice(path.length)] : [];
    });
  expect(open().filter((name) => name === "-wal")).toHaveLength(2);
  db.close();
  await until("they are closed", () => open().length === 0);
  expect(WalSync.of(join(dir, "none.db"))).toBe(null);
});

function readlinkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
