import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  setupEnded,
  setupStarted,
  started,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl({ config: { limits: { cells: 1 } } });
});
afterEach(() => rig.remove());

const now = () => rig.clock.now();
const begin = (run = 1) => rig.report("setup-started", setupStarted(ID, run, now()));
const finish = (more = {}, run = 1) => rig.report("setup-ended", setupEnded(ID, run, now(), more));
const startJobs = () => rig.payloads("start", ["waiting", "done", "ended"]);
const whys = () => rig.registry.history(ID).map((row) => `${row.to}: ${row.why}`);

it("makes the cell active, and starts the run when it ended well", () => {
  rig.create();
  rig.clearJobs();
  begin();
  expect(rig.cell()).toMatchObject({ state: "active", setUpWith: null });
  expect(rig.run()).toMatchObject({ state: "admitted", setup: { end: null } });
  expect(startJobs()).toHaveLength(1);
  finish();
  expect(rig.cell()).toMatchObject({ state: "active", setUpWith: "d".repeat(64) });
  expect(startJobs().map((job) => job.isSetUp)).toEqual([false, true]);
  rig.report("run-started", started(ID, 1, now()));
  expect(rig.run().state).toBe("running");
  rig.report("run-ended", ended(ID, 1, now()));
  expect(whys()).toEqual([
    "proposed: summoned",
    "active: setting up: npm ci --ignore-scripts",
    "active: working: allegro",
    "idle: exit 0",
  ]);
});

it("leaves the run unbegun where it failed, says so once, and a revive tries again", () => {
  rig.create();
  rig.create({ id: "9ab24c11-1111-4222-8333-444455556666", branch: "lazarus/9ab24c11" });
  begin();
  rig.clearJobs();
  finish({ code: 1, tail: "no such package" });
  finish({ code: 1 });
  expect(rig.cell()).toMatchObject({ state: "idle", outcome: "failed", setUpWith: null });
  expect(rig.run()).toMatchObject({ state: "ended", startedAt: null, stopped: "not set up: exit 1" });
  expect(rig.announced.map((one) => one.kind)).toEqual(["needs-you"]);
  // Its place is another's now, and nothing is to be collected of it.
  expect(rig.waiting().sort()).toEqual(["admit", "card", "comment", "mark"].sort());

  rig.lifecycle.stop(rig.cell("9ab24c11-1111-4222-8333-444455556666"), "dev");
  const stopped = { began: false, code: null, stopped: "stopped by dev" };
  rig.report("run-ended", ended("9ab24c11-1111-4222-8333-444455556666", 1, now(), stopped));
  rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
  expect(startJobs().at(-1)).toMatchObject({ run: 2, isSetUp: false, setUpWith: null });
});

it("is not repeated in the same tree, and is in one that was brought back", () => {
  rig.create();
  begin();
  finish();
  rig.report("run-started", started(ID, 1, now()));
  rig.report("run-ended", ended(ID, 1, now()));
  rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
  rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
  expect(startJobs().at(-1)).toMatchObject({ run: 2, setUpWith: "d".repeat(64), isSetUp: false });
  rig.report("run-refused", { cellId: ID, run: 2, why: "no" });

  const closing = { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null };
  rig.lifecycle.close(rig.cell(), closing, "closed by owner");
  rig.report("sealed", { cellId: ID, bytes: 1 });
  rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
  rig.report("restored", { cellId: ID, run: 3 });
  expect(startJobs().at(-1)).toMatchObject({ run: 3, setUpWith: null });
  begin(3);
  expect(rig.cell().state).toBe("active");
});

it("begins nothing more once somebody has stopped it, though it ended well by itself before the stop came to it", () => {
  rig.create();
  begin();
  rig.lifecycle.stop(rig.cell(), "dev");
  finish();
  expect(startJobs()).toHaveLength(1);
  rig.report("run-ended", ended(ID, 1, now(), { began: false, code: null, stopped: "stopped by dev" }));
  expect(rig.cell()).toMatchObject({ state: "idle" });
  expect(rig.run()).toMatchObject({ state: "ended", setup: { end: { stopped: "stopped by dev" } } });
  expect(rig.announced).toEqual([]);
});

it.each([false, true])("ends with a cell that is closed meanwhile (discarded: %s)", (discard) => {
  rig.create();
  begin();
  const closing = { by: "owner", discard, thenDestroy: false, outcome: null, person: null };
  rig.lifecycle.close(rig.cell(), closing, "closed by owner");
  expect(rig.payloads("stop")).toMatchObject([{ run: 1, handle: null }]);
  rig.report("run-ended", ended(ID, 1, now(), { began: false, code: null, stopped: "closed by owner" }));
  expect(rig.cell().state).toBe("closing");
  expect(rig.waiting()).toContain("seal");
});

it("rests where the run itself could not be started after it", () => {
  rig.create();
  begin();
  finish();
  rig.report("run-refused", { cellId: ID, run: 1, why: "there is no hermes" });
  expect(rig.cell()).toMatchObject({
    state: "idle",
    reason: "there is no hermes",
    setUpWith: "d".repeat(64),
  });
});
