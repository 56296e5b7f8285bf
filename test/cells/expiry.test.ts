import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tick, watchedClock } from "../../src/cells/clock-jumps.ts";
import { lookAtTime, warningMs } from "../../src/cells/expiry.ts";
import type { Harvest } from "../../src/protocol/shapes.ts";
import { type ControlRig, createControl, ID, started } from "../fakes/control-rig.ts";

const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

const BY_OWNER = { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null };

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const look = () => {
  tick(rig.deps);
  lookAtTime(rig.deps);
};
/** Lets time pass as a server sees it: a look every minute. */
const live = async (ms: number) => {
  for (let left = ms; left > 0; left -= MIN) {
    await rig.clock.advance(Math.min(MIN, left));
    look();
  }
};
const moves = () => rig.registry.history(ID).map((row) => row.to);
const isWarned = () => rig.cell().ttlWarnedFor === rig.cell().expiresAt;

describe("the end of a TTL", () => {
  it("is warned of a tenth of it before, at most an hour", () => {
    const at = rig.clock.now();
    expect(warningMs({ since: at, expiresAt: at + 100 * MIN })).toBe(10 * MIN);
    expect(warningMs({ since: at, expiresAt: at + 90 * DAY })).toBe(HOUR);
  });

  it("closes an idle cell after its warning, and not before its end", async () => {
    rig.idle();
    await live(23 * HOUR - MIN);
    expect([isWarned(), rig.cell().state]).toEqual([false, "idle"]);
    rig.clearJobs();
    await live(MIN);
    expect([isWarned(), rig.waiting()]).toEqual([true, ["card"]]);
    rig.clearJobs();
    await live(HOUR - MIN);
    expect([rig.cell().state, rig.waiting()]).toEqual(["idle", []]);
    await live(MIN);
    expect(rig.cell()).toMatchObject({ state: "closing", closing: { by: "lazarus", outcome: "expired" } });
  });

  it("withdraws a cell that never started", async () => {
    rig.create({ waitsForApproval: true });
    await live(DAY);
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "expired" });
  });

  it.each<[string, Partial<Harvest>, (id: string) => void]>([
    ["is held back", { heldBack: ["it changes a workflow"] }, () => {}],
    ["shows a secret", { forbidden: ["it shows a secret"] }, () => {}],
    ["the forge refused", {}, (cellId) => rig.report("push-refused", { cellId, run: 1, why: "protected" })],
    [
      "has no repository any more",
      {},
      (cellId) => rig.registry.update(cellId, { repositoryTrouble: "acme/app is gone" }),
    ],
    [
      "could not be pushed for a day",
      {},
      (cellId) =>
        rig.reports.stuck({ cellId, kind: "publish", run: 1, why: "git exited 128", retryAt: null }),
    ],
  ])("seals a cell whose work %s, and says so", async (_what, left, happens) => {
    const { id } = rig.idle({}, left);
    happens(id);
    rig.clearJobs();
    await live(DAY);
    if (rig.waiting().includes("publish"))
      rig.reports.stuck({ cellId: id, kind: "publish", run: 1, why: "git exited 128", retryAt: null });
    expect(rig.cell().state).toBe("closing");
    expect(rig.waiting()).toContain("seal");
    rig.report("sealed", { cellId: id, bytes: 1 });
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "expired" });
    const [told] = rig.payloads("comment");
    expect(told?.text).toContain("its time was up");
    expect(told?.text).toContain("what it made last is only in the seal");
  });

  it("is not tried for ever where it cannot be closed", async () => {
    rig.idle();
    await live(DAY);
    rig.reports.stuck({ cellId: ID, kind: "seal", run: null, why: "tar exited 2", retryAt: null });
    expect(moves().slice(-2)).toEqual(["closing", "idle"]);
    const rows = moves().length;
    await live(2 * HOUR);
    expect(moves()).toHaveLength(rows);
  });

  it("is warned of first where it passed while nobody looked, and then comes", async () => {
    rig.idle();
    await rig.clock.advance(3 * DAY);
    look();
    expect(rig.cell()).toMatchObject({ state: "idle", expiresAt: rig.clock.now() + HOUR });
    expect(isWarned()).toBe(true);
    await rig.clock.advance(2 * HOUR);
    look();
    expect(rig.cell().state).toBe("closing");
  });

  it("counts from the revival of a cell that came back from its archive", async () => {
    rig.remove();
    rig = createControl({ config: { limits: { ttl: "100m" } } });
    rig.idle();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    await rig.clock.advance(5 * DAY);
    look();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 4, login: "owner" });
    rig.report("restored", { cellId: ID, run: 2 });
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    await live(89 * MIN);
    expect(isWarned()).toBe(false);
    await live(MIN);
    expect(isWarned()).toBe(true);
  });

  it("is moved by extend, and warned of again", async () => {
    rig.idle();
    await live(23 * HOUR);
    expect(isWarned()).toBe(true);
    const more = { expiresAt: rig.cell().expiresAt + 4 * HOUR, costUsd: 0, tokens: 0 };
    rig.deps.goingOn.extend(rig.cell(), more, "owner");
    expect(isWarned()).toBe(false);
    await live(4 * HOUR - MIN);
    expect([rig.cell().state, isWarned()]).toEqual(["idle", false]);
    await live(MIN);
    expect(isWarned()).toBe(true);
    await live(HOUR);
    expect(rig.cell().state).toBe("closing");
  });
});

describe("a wall clock that is set", () => {
  it.each([
    ["forward", 40 * DAY],
    ["back", -40 * DAY],
  ])("%s moves deadlines with it within one boot", (_, jumpMs) => {
    rig.idle();
    look();
    const { expiresAt } = rig.cell();
    rig.registry.addRun({
      cellId: ID,
      agent: "allegro",
      role: "executor",
      requester: { id: 3, login: "dev" },
      state: "waiting",
      notBefore: rig.clock.now() + MIN,
      isAutomatic: true,
    });
    rig.queue.put({ kind: "card", key: "later", lane: "card:x", payload: { cellId: ID }, notBefore: 1e12 });
    const due = () =>
      rig.db.sql.prepare("SELECT not_before FROM jobs WHERE key = 'later'").pluck().get() as number;
    rig.clock.jump(jumpMs);
    expect(tick(rig.deps)).toBe(jumpMs);
    expect(tick(rig.deps)).toBe(0);
    lookAtTime(rig.deps);
    expect(rig.cell()).toMatchObject({ state: "idle", expiresAt: expiresAt + jumpMs, ttlWarnedFor: null });
    expect(rig.run().notBefore).toBe(rig.clock.now() + MIN);
    expect(due()).toBe(1e12 + jumpMs);
  });

  it("is warned of in time also where the clock was set to before the cell was made", async () => {
    rig.idle();
    look();
    rig.clock.jump(-40 * DAY);
    look();
    await live(23 * HOUR + MIN);
    expect([isWarned(), rig.cell().state]).toEqual([true, "idle"]);
  });

  it("moves deadlines back across a reboot after which it is earlier than before, and on again when that is mended", async () => {
    rig.idle();
    look();
    const { expiresAt } = rig.cell();
    const wrongBy = rig.clock.now() - Date.UTC(1970, 0, 1);
    rig.clock.reboot();
    rig.clock.jump(-wrongBy);
    await rig.clock.advance(2 * MIN);
    look();
    rig.clock.jump(wrongBy);
    look();
    expect(Math.abs(rig.cell().expiresAt - expiresAt)).toBeLessThanOrEqual(2 * MIN);
    expect(rig.cell().state).toBe("idle");
  });

  it("loses no retry whose time a clock that was set back had come to before", async () => {
    rig.idle();
    look();
    rig.registry.addRun({
      ...{ cellId: ID, agent: "allegro", role: "executor", requester: { id: 3, login: "dev" } },
      ...{ state: "waiting", notBefore: rig.clock.now() + 5_000, isAutomatic: true },
    });
    rig.steps.admitDue();
    rig.clock.jump(-HOUR);
    for (let second = 0; second < 6; second++) {
      await rig.clock.advance(1_000);
      tick(rig.deps);
      rig.steps.admitDue();
    }
    expect(rig.run().state).toBe("admitted");
  });

  it("starts no retry before its time", async () => {
    rig.idle();
    look();
    rig.registry.addRun({
      ...{ cellId: ID, agent: "allegro", role: "executor", requester: { id: 3, login: "dev" } },
      ...{ state: "waiting", notBefore: rig.clock.now() + 30 * MIN, isAutomatic: true },
    });
    rig.steps.admitDue();
    rig.clock.jump(HOUR);
    await rig.clock.advance(1_000);
    tick(rig.deps);
    rig.steps.admitDue();
    expect(rig.run().state).toBe("waiting");
  });

  it("moves nothing across a reboot, where nobody can tell a jump from a night", async () => {
    rig.idle();
    look();
    const { expiresAt } = rig.cell();
    rig.clock.reboot();
    rig.clock.jump(3 * DAY);
    expect(tick(rig.deps)).toBe(0);
    lookAtTime(rig.deps);
    expect(rig.cell()).toMatchObject({ state: "idle", expiresAt: rig.clock.now() + HOUR });
    expect(rig.cell().expiresAt).toBeGreaterThan(expiresAt);
  });

  it("is seen before anything is put off from the new time on, which would else be moved, too", async () => {
    rig.idle();
    look();
    const clock = watchedClock(rig.clock);
    const jumps: number[] = [];
    clock.watch(() => jumps.push(tick(rig.deps)));
    rig.clock.jump(4_000);
    clock.now();
    expect(jumps).toEqual([]);
    rig.clock.jump(HOUR);
    rig.registry.addRun({
      ...{ cellId: ID, agent: "allegro", role: "executor", requester: { id: 3, login: "dev" } },
      ...{ state: "waiting", notBefore: clock.now() + MIN, isAutomatic: true },
    });
    expect(jumps).toEqual([HOUR + 4_000]);
    expect(tick(rig.deps)).toBe(0);
    expect(rig.run().notBefore).toBe(rig.clock.now() + MIN);
    clock.unwatch();
    rig.clock.jump(HOUR);
    clock.now();
    expect(jumps).toHaveLength(1);
  });

  it("is not seen in small corrections", async () => {
    rig.idle();
    look();
    const { expiresAt } = rig.cell();
    rig.clock.jump(4_000);
    expect(tick(rig.deps)).toBe(0);
    expect(rig.cell().expiresAt).toBe(expiresAt);
  });
});

describe("retention", () => {
  const archive = () => {
    rig.idle();
    rig.lifecycle.close(
      rig.cell(),
      { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null },
      "closed",
    );
    rig.report("sealed", { cellId: ID, bytes: 1 });
  };

  it("is written down when a cell is archived, and destroys it when it has passed", async () => {
    archive();
    const until = rig.clock.now() + 14 * DAY;
    expect(rig.cell()).toMatchObject({ state: "archived", keepUntil: until });
    await rig.clock.advance(14 * DAY - 1);
    look();
    expect(rig.cell()).toMatchObject({ closing: null, keepUntil: until });
    await rig.clock.advance(1);
    look();
    expect(rig.cell().closing).toMatchObject({ by: "lazarus", thenDestroy: true });
    const scrubs = () => rig.payloads("scrub").length;
    expect(scrubs()).toBe(1);
    look();
    expect(scrubs()).toBe(1);
    rig.report("scrubbed", { cellId: ID });
    expect(rig.registry.history(ID).at(-1)).toMatchObject({
      to: "destroyed",
      who: "lazarus",
      why: "its retention passed: scrubbed from disk",
    });
  });

  it("destroys nothing right after the machine's start, when its clock may still be wrong", async () => {
    archive();
    look();
    rig.clock.reboot();
    rig.clock.jump(400 * DAY);
    await rig.clock.advance(MIN);
    look();
    rig.clock.jump(-400 * DAY);
    await live(20 * MIN);
    expect(rig.cell()).toMatchObject({ state: "archived", closing: null });
  });

  it("is for ever where limits.keep is 0", async () => {
    rig.remove();
    rig = createControl({ config: { limits: { keep: "0" } } });
    archive();
    await rig.clock.advance(4_000 * DAY);
    look();
    expect(rig.cell()).toMatchObject({ state: "archived", keepUntil: null, closing: null });
  });

  it("is not shortened for what is archived already, and is lengthened by the file", async () => {
    archive();
    const at = rig.clock.now();
    const keep = (keepMs: number) => lookAtTime({ ...rig.deps, config: { limits: { keepMs } } });
    await rig.clock.advance(14 * DAY);
    keep(30 * DAY);
    expect(rig.cell()).toMatchObject({ keepUntil: at + 30 * DAY, closing: null });
    keep(DAY);
    expect(rig.cell()).toMatchObject({ keepUntil: at + 30 * DAY, closing: null });
  });
});
