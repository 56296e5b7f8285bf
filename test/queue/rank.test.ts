import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createLocalQueue } from "../../src/queue/local.ts";
import type { Queue } from "../../src/queue/queue.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { createFakeClock } from "../fakes/clock.ts";

let dir: string;
let db: Db;
let queue: Queue;
let keys: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-rank-"));
  keys = 0;
  open();
});
afterEach(async () => {
  await queue.close(0);
  db.close();
  rmSync(dir, { recursive: true });
});

function open(): void {
  db = openDb(join(dir, "registry.db"));
  queue = createLocalQueue({
    ...{ db, clock: createFakeClock(), concurrency: { events: 1 } },
    log: { info() {}, warn() {}, error() {} },
  });
}

/** Somebody types at a thread. */
function type(fullName: string, number: number, lane = `thread:${fullName}#${number}`): void {
  const payload = { repository: { id: 1, fullName }, number, delivered: {} };
  queue.put({ kind: "thread", key: `key ${keys++}`, lane, payload });
}

/** Reads all that was typed, one after the other; answers what was read, in that order. */
async function read(during: (name: string) => void = () => {}): Promise<string[]> {
  const order: string[] = [];
  queue.work({
    thread: async ({ payload }) => {
      const name = `${payload.repository.fullName}#${payload.number}`;
      order.push(name);
      during(name);
      return undefined;
    },
  });
  await queue.idle();
  return order;
}

it("reads next what is typed where nothing else waits, however much waits of others", async () => {
  for (let n = 1; n <= 50; n++) type("flood/app", n);
  const order = await read((name) => {
    if (name === "flood/app#3") type("quiet/app", 1);
  });
  expect(order).toHaveLength(51);
  expect(order.indexOf("quiet/app#1")).toBe(3);
});

it("takes two repositories where much waits in turn, also after another start", async () => {
  for (let n = 1; n <= 4; n++) type("a/app", n);
  for (let n = 1; n <= 4; n++) type("b/app", n);
  await queue.close(0);
  db.close();
  open();
  type("a/app", 5);
  expect((await read()).map((name) => name[0]).join("")).toBe("ababababa");
});

it("counts an owner with many repositories as eight of them", async () => {
  for (let n = 1; n <= 40; n++) type(`many/app${n}`, 1);
  for (let n = 1; n <= 3; n++) type("one/app", n);
  const order = await read();
  expect([1, 2, 3].map((n) => order.indexOf(`one/app#${n}`))).toEqual([1, 10, 19]);
});

it("keeps the order within a lane, also where its repository has another owner by now", async () => {
  for (let n = 1; n <= 9; n++) type("old/app", n, "thread:1");
  type("new/app", 10, "thread:1");
  type("new/app", 11, "thread:1");
  expect((await read()).map((name) => Number(name.split("#")[1]))).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ]);
});
