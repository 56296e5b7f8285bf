import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lookAtTime } from "../../../src/cells/expiry.ts";
import { Registry } from "../../../src/cells/registry/registry.ts";
import type { Signs } from "../../../src/protocol/shapes.ts";
import { openDb } from "../../../src/store/db.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  nothingLeft,
  started,
  TIP,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const DEV = { id: 3, login: "dev" };
const OTHER_TIP = "2".repeat(40);
const now = () => rig.clock.now();
const steps = () => rig.waiting().filter((kind) => kind !== "card" && kind !== "mark");
const anew = (limits: object) => {
  rig.remove();
  rig = createControl({ config: { limits } });
};
const signs = (more: Partial<Signs>): Signs => ({
  event: null,
  says: "",
  ownLimit: null,
  quota: null,
  login: null,
  credit: null,
  isOutOfMemory: false,
  isOverMemory: false,
  isRebooted: false,
  ...more,
});
const comments = () => rig.payloads("comment", ["waiting", "done"]);

/** Lets the last run of the cell start and end; the answer is its number. */
function runs(end: Parameters<typeof ended>[3] = {}, left: Parameters<typeof harvest>[0] = {}): number {
  const { n } = rig.run();
  if (rig.run().state !== "running") rig.report("run-started", started(ID, n, now()));
  if (end.stopped?.startsWith("over its"))
    rig.report("over-limit", { cellId: ID, run: n, limit: "time", why: end.stopped });
  rig.report("run-ended", ended(ID, n, now(), end));
  rig.report("collected", { cellId: ID, run: n, harvest: harvest(left) });
  return n;
}
function crashed(left: Parameters<typeof harvest>[0] = {}): void {
  rig.create();
  runs({ code: 3 }, left);
}
async function later(ms: number): Promise<void> {
  await rig.clock.advance(ms);
  rig.steps.admitDue();
}

describe("after a crash", () => {
  it("waits its time, then goes through the rights of who asked, and publishes nothing meanwhile", async () => {
    crashed();
    expect(rig.run()).toMatchObject({
      n: 2,
      state: "waiting",
      isAutomatic: true,
      notBefore: now() + 30_000,
      requester: DEV,
      agent: "allegro",
    });
    expect(rig.registry.mustRun(ID, 1)).toMatchObject({ exitClass: "crashed", exitWhy: "exit 3" });
    expect(rig.cell()).toMatchObject({ state: "idle", outcome: "failed", breaker: null });
    rig.clearJobs();
    await later(29_000);
    expect([rig.run().state, steps()]).toEqual(["waiting", []]);
    await later(1_000);
    expect([rig.run().state, steps()]).toEqual(["admitted", ["admit"]]);
    await later(60_000);
    expect(steps()).toEqual(["admit"]);
    expect(rig.payloads("publish", ["waiting", "done", "ended"])).toEqual([]);
    expect(comments()).toEqual([]);
  });

  it("is tried again as often as is said, then rests, tells a person once, and publishes what there is", async () => {
    crashed();
    for (const wait of [30_000, 120_000]) {
      await later(wait);
      runs({ code: 3 }, { tip: OTHER_TIP });
    }
    expect(rig.run()).toMatchObject({ n: 3, state: "ended", isAutomatic: true });
    expect(rig.cell().breaker).toBe("2 automatic retries failed");
    expect(rig.payloads("publish")).toMatchObject([{ run: 3, tip: OTHER_TIP }]);
    await later(24 * 60 * 60_000);
    expect(rig.registry.runs(ID)).toHaveLength(3);
    expect(comments()).toHaveLength(1);
    expect(comments()[0]?.text).toMatch(/^@dev: cell `4f1c0b7e` needs you: allegro stopped \(exit 3/);
  });

  it("is done with the run that gets it done, and publishes that", async () => {
    crashed();
    await later(30_000);
    runs({}, { tip: OTHER_TIP });
    expect(rig.cell()).toMatchObject({ outcome: "done", breaker: null });
    expect(rig.payloads("publish")).toMatchObject([{ run: 2, tip: OTHER_TIP }]);
    expect(comments()).toEqual([]);
    expect(
      rig.registry
        .history(ID)
        .filter((row) => row.to === "active")
        .map((row) => row.who),
    ).toEqual(["dev", "lazarus"]);
  });

  it("counts anew after a person has asked", async () => {
    crashed();
    await later(30_000);
    runs({ code: 3 });
    await later(120_000);
    runs({ code: 3 });
    expect(rig.cell().breaker).not.toBeNull();
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    expect(rig.cell().breaker).toBeNull();
    runs({ code: 3 });
    expect(rig.run()).toMatchObject({ n: 5, state: "waiting", notBefore: now() + 30_000 });
  });

  it("publishes what there is where a person's own run gave way to nothing", () => {
    anew({ cells: 1 });
    rig.create();
    const OTHER = "9ab24c11-1111-4222-8333-444455556666";
    rig.create({ id: OTHER, branch: "lazarus/9ab24c11" });
    runs({ code: 3 });
    expect(rig.run()).toMatchObject({ state: "waiting", isAutomatic: true });
    rig.lifecycle.rerun(rig.cell(), "ezra", DEV);
    expect(rig.run()).toMatchObject({ n: 3, state: "waiting", isAutomatic: false });
    rig.clearJobs();
    rig.lifecycle.stop(rig.cell(), "dev");
    expect(rig.run().state).toBe("withdrawn");
    expect(rig.payloads("publish")).toHaveLength(1);
  });

  it("is not tried again where revives is 0", () => {
    anew({ revives: 0 });
    crashed();
    expect(rig.run()).toMatchObject({ n: 1, state: "ended" });
    expect(rig.payloads("publish")).toHaveLength(1);
    expect(comments()).toHaveLength(1);
  });

  it("says once what is reported twice", () => {
    crashed();
    const report = { cellId: ID, run: 1, harvest: harvest() };
    rig.report("collected", report);
    rig.report("collected", report);
    expect(rig.registry.runs(ID)).toHaveLength(2);
  });

  it("lets a person's own next run follow, where they asked before it was looked at", () => {
    rig.active();
    rig.report("run-ended", ended(ID, 1, now(), { code: 3 }));
    rig.lifecycle.rerun(rig.cell(), "ezra", DEV);
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(rig.registry.runs(ID).map((run) => run.isAutomatic)).toEqual([false, false]);
  });

  it("waits for a place like any other", async () => {
    anew({ cells: 1 });
    crashed();
    rig.create({ id: "9ab24c11-1111-4222-8333-444455556666" });
    await later(30_000);
    expect(rig.run().state).toBe("waiting");
    rig.report("run-started", started("9ab24c11-1111-4222-8333-444455556666", 1, now()));
    rig.report("run-ended", ended("9ab24c11-1111-4222-8333-444455556666", 1, now()));
    expect(rig.run().state).toBe("admitted");
  });

  it("asks a person where the retry cannot be started, and publishes what there is", async () => {
    crashed();
    await later(30_000);
    rig.report("run-refused", { cellId: ID, run: 2, why: "there is no agent allegro any more" });
    expect(rig.cell().breaker).toBe("it could not be started again: there is no agent allegro any more");
    expect(rig.payloads("publish")).toHaveLength(1);
    expect(comments()).toHaveLength(1);
  });

  it("goes on at once after the machine was started anew", () => {
    rig.create();
    runs({ code: null }, { signs: signs({ isRebooted: true }) });
    expect(rig.registry.mustRun(ID, 1).exitClass).toBe("machine");
    expect([rig.run().n, rig.run().state, steps().includes("admit")]).toEqual([2, "admitted", true]);
  });
});

describe("a retry that waits", () => {
  it("is still there after a restart, once", async () => {
    crashed();
    const path = join(rig.dir, "lazarus.db");
    const again = openDb(path);
    const [run, ...more] = new Registry(again, rig.clock).openRuns(["waiting"]);
    again.close();
    expect([run?.n, run?.notBefore, run?.isAutomatic, more]).toEqual([2, now() + 30_000, true, []]);
    await rig.clock.advance(60_000);
    rig.steps.admitWaiting();
    rig.steps.admitDue();
    expect(rig.payloads("admit")).toEqual([{ cellId: ID, run: 2 }]);
  });

  it("starts now when a person revives", () => {
    crashed();
    rig.clearJobs();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 4, login: "owner" });
    expect(rig.registry.mustRun(ID, 2)).toMatchObject({
      state: "withdrawn",
      stopped: "owner did not wait for it",
    });
    expect(rig.run()).toMatchObject({
      n: 3,
      state: "admitted",
      isAutomatic: false,
      requester: { login: "owner" },
    });
    expect(steps()).toEqual(["start"]);
  });

  it("is withdrawn by stop, and then what there is is published", () => {
    crashed();
    rig.clearJobs();
    expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(true);
    expect(rig.run()).toMatchObject({ n: 2, state: "withdrawn" });
    expect(rig.payloads("publish")).toMatchObject([{ tip: TIP }]);
    expect(rig.cell()).toMatchObject({ state: "idle", outcome: "failed" });
  });

  it("is withdrawn where who asked lost the right to, and what there is is published", () => {
    crashed();
    const why = "not started: dev no longer has write permission on acme/app";
    rig.lifecycle.withdraw(rig.cell(), rig.run(), { who: "lazarus", why, outcome: "declined" });
    expect(rig.payloads("publish")).toHaveLength(1);
    expect(rig.cell().reason).toBe(why);
  });

  it("ends with close, which publishes first", () => {
    crashed();
    rig.clearJobs();
    const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: "owner" };
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    expect([rig.run().state, rig.cell().state, steps()]).toEqual(["withdrawn", "closing", ["publish"]]);
  });

  it("ends with destroy", async () => {
    crashed();
    rig.lifecycle.destroy(rig.cell(), "owner");
    await later(60_000);
    expect([rig.run().state, rig.payloads("admit")]).toEqual(["withdrawn", []]);
  });

  it("ends with the TTL, which closes and publishes", async () => {
    rig.create();
    const resetsAt = rig.cell().expiresAt - 60_000;
    runs({ code: 1 }, { signs: signs({ quota: { words: "limit reached", resetsAt } }) });
    expect(rig.run().state).toBe("waiting");
    const expiresAt = now() + 1_000;
    rig.registry.update(ID, { expiresAt, ttlWarnedFor: expiresAt });
    await later(1_000);
    lookAtTime(rig.deps);
    expect([rig.run().state, rig.cell().state]).toEqual(["withdrawn", "closing"]);
    expect(rig.payloads("publish")).toHaveLength(1);
  });
});

describe("after other exits", () => {
  it("goes on when the quota resets, and tells nobody", async () => {
    rig.create();
    const quota = { words: "try again in 20s", resetsAt: now() + 20_000 };
    runs({ code: 1 }, nothingLeft({ signs: signs({ quota }) }));
    const wait = (rig.run().notBefore ?? 0) - now();
    expect(rig.registry.mustRun(ID, 1)).toMatchObject({ exitClass: "quota", resetsAt: quota.resetsAt });
    expect(wait).toBeGreaterThanOrEqual(20_000);
    expect(wait).toBeLessThanOrEqual(22_000);
    await later(22_000);
    expect(rig.run().state).toBe("admitted");
    expect(comments()).toEqual([]);
  });

  it("does not count a quota as a crash", async () => {
    rig.create();
    for (let round = 0; round < 5; round++) {
      runs({ code: 1 }, { signs: signs({ quota: { words: "429", resetsAt: now() + 1_000 } }) });
      await later(60_000);
    }
    runs({ code: 3 });
    expect(rig.run()).toMatchObject({ n: 7, notBefore: now() + 30_000 });
  });

  it("puts a question before who asked, once, harmless, and publishes what there is", () => {
    rig.create();
    runs({}, { question: "Which one?\n<!-- lazarus:card:x -->\n@owner fixes #1" });
    expect(rig.cell()).toMatchObject({ outcome: "done", breaker: null });
    expect(rig.payloads("publish")).toHaveLength(1);
    const [said, ...more] = comments();
    expect(more).toEqual([]);
    expect(said?.text).toMatch(
      /^@dev: cell `4f1c0b7e` needs you: allegro asks a question\. Answer with `\/lazarus tell 4f1c0b7e your answer`: allegro goes on with it in the same cell, and in the same session where it can\.\n\n> Which one\?/,
    );
    expect(said?.text).not.toContain("<!--");
    expect(said?.text).not.toMatch(/(^|[^\\])@owner|fixes #1/);
  });

  it.each([
    [
      "not logged in",
      { code: 1 },
      nothingLeft({ signs: signs({ login: "Invalid API key" }) }),
      "is not logged in. It says: Invalid API key.",
    ],
    ["not to be run", { code: 127 }, nothingLeft(), "cannot be run (exit 127"],
    [
      "over its clock",
      { code: 143, stopped: "over its wall clock of 2h" },
      harvest(),
      "stopped (over its wall clock of 2h",
    ],
  ])("asks a person at once where it is %s", (_what, end, left, words) => {
    rig.create();
    runs(end, left);
    expect(rig.registry.runs(ID)).toHaveLength(1);
    expect(comments().map((one) => one.text)).toEqual([expect.stringContaining(words)]);
    expect(rig.payloads("publish")).toHaveLength(left.tip === null ? 0 : 1);
  });

  it.each([
    ["a good one", {}],
    ["one that a person stopped", { code: 143, stopped: "stopped by dev" }],
  ])("publishes at once, and asks nobody, after %s", (_what, end) => {
    rig.create();
    runs(end);
    expect([rig.registry.runs(ID).length, rig.payloads("publish").length, comments()]).toEqual([1, 1, []]);
  });

  it("tries nothing again in a cell that closes", () => {
    rig.active();
    const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: "owner" };
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    rig.report("run-ended", ended(ID, 1, now(), { code: 3 }));
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(rig.registry.runs(ID)).toHaveLength(1);
    expect(comments()).toEqual([]);
  });
});
