import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openApp } from "../src/app.ts";
import { Registry } from "../src/cells/registry/registry.ts";
import { REGISTRY } from "../src/control.ts";
import { silentLog } from "../src/log.ts";
import { createLocalQueue } from "../src/queue/local.ts";
import { type Db, openDb } from "../src/store/db.ts";
import { prepareDataDir } from "../src/store/lock.ts";
import { newCell } from "./fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "./fakes/forge-rig.ts";

let rig: ForgeRig;
let db: Db;
beforeEach(async () => {
  rig = await createForgeRig();
  prepareDataDir(rig.config.dataDir);
  db = openDb(join(rig.config.dataDir, REGISTRY));
});
afterEach(async () => {
  db.close();
  await rig.stop();
});

it("begins no work where it cannot start, and leaves everything to the next one", async () => {
  const registry = new Registry(db, rig.clock);
  const cell = newCell(rig.clock.now());
  registry.insert(cell, [], "summoned");
  registry.addRun({ ...cell, cellId: cell.id, role: "executor", state: "waiting" });
  const payload = { repository: rig.repository, number: rig.at.number, delivered: {} };
  createLocalQueue({ db, clock: rig.clock, log: silentLog }).put({
    ...{ kind: "thread", key: "a look", lane: "thread:1", payload },
  });
  // As where the disk is full: a run cannot be written down.
  db.sql.exec("CREATE TRIGGER full BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'full'); END");
  await expect(openApp(rig.config, { log: silentLog })).rejects.toThrow("full");
  // Whatever had been begun would have its turn now.
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  expect(db.sql.prepare("SELECT state, attempt FROM jobs WHERE kind = 'thread'").all()).toEqual([
    { state: "waiting", attempt: 0 },
  ]);
  db.sql.exec("DROP TRIGGER full");
  const app = await openApp(rig.config, { log: silentLog });
  await app.stop();
});

it("forgets within the hour what it answered long ago, and nothing of today", async () => {
  const answer = db.sql.prepare(
    "INSERT INTO answers (request, at, exit_code, text, data) VALUES (@request, @at, 0, 'done', NULL)",
  );
  answer.run({ request: "old", at: rig.clock.now() - 90 * 24 * 3_600_000 });
  answer.run({ request: "fresh", at: rig.clock.now() });
  const app = await openApp(rig.config, { log: silentLog, adapters: { clock: rig.clock } });
  try {
    await rig.clock.advance(3_600_000);
    expect(db.sql.prepare("SELECT request FROM answers").pluck().all()).toEqual(["fresh"]);
  } finally {
    const stopping = app.stop();
    await rig.clock.advance(60_000);
    await stopping;
  }
});

it("moves nothing that is put off after the clock was set, before anybody looked at the clock", async () => {
  const app = await openApp(rig.config, { log: silentLog, adapters: { clock: rig.clock } });
  try {
    rig.clock.jump(3 * 3_600_000);
    const later = rig.clock.now() + 60_000;
    const payload = { repository: rig.repository, number: rig.at.number, delivered: {} };
    app.queue.put({ kind: "thread", key: "later", lane: "thread:9", payload, notBefore: later });
    await rig.clock.advance(30_000);
    expect(db.sql.prepare("SELECT not_before FROM jobs WHERE key = 'later'").pluck().all()).toEqual([later]);
  } finally {
    const stopping = app.stop();
    await rig.clock.advance(60_000);
    await stopping;
  }
});
