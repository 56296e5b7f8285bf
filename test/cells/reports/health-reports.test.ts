import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { viewOf } from "../../../src/commands/words/cell-view.ts";
import type { JobPayload } from "../../../src/protocol/jobs.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  NOTHING_YET,
  started,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const BEAT = { at: 1, state: "testing", message: "3 of 7", progress: 0.4, by: "agent" } as const;
const report = (more: Partial<JobPayload<"health">> = {}) =>
  rig.report("health", {
    ...{ cellId: ID, run: 1, health: "healthy", reason: "output", beat: null },
    ...{ since: rig.clock.now(), seenAt: rig.clock.now() },
    ...more,
  });
const NO_HEALTH = {
  health: NOTHING_YET.health,
  healthReason: null,
  healthSince: null,
  seenAt: null,
  beat: null,
};
/** When the waiting card jobs are due, in ms from now. */
const cards = () =>
  rig.queue
    .list({ states: ["waiting"], limit: 100 })
    .filter((row) => row.kind === "card")
    .map((row) => row.notBefore - rig.clock.now());

it("has a reason from the start, and what was seen last", () => {
  rig.active();
  expect(rig.cell()).toMatchObject({
    health: "healthy",
    healthReason: "it has just started",
    healthSince: rig.clock.now(),
    seenAt: rig.clock.now(),
  });
  const since = rig.clock.now() - 5;
  report({ health: "stalled", reason: "no output", since, seenAt: since - 7, beat: BEAT });
  expect(rig.cell()).toMatchObject({
    health: "stalled",
    healthReason: "no output",
    healthSince: since,
    seenAt: since - 7,
    beat: BEAT,
  });
  expect(viewOf(rig.cell(), rig)).toMatchObject({
    health: "stalled",
    reason: "no output",
    health_reason: "no output",
    health_since: new Date(since).toISOString(),
    heartbeat: { state: "testing", by: "agent", at: "1970-01-01T00:00:00.001Z" },
  });
});

it("ends with the run, and what comes late is about nobody", () => {
  rig.active();
  report({ beat: BEAT });
  rig.report("run-ended", ended(ID, 1, rig.clock.now()));
  expect(rig.cell()).toMatchObject(NO_HEALTH);
  rig.clearJobs();
  report({ health: "stalled" });
  expect(rig.cell()).toMatchObject(NO_HEALTH);
  expect(rig.waiting()).toEqual([]);
});

it("of an earlier run is not that of the next", () => {
  const { id } = rig.idle();
  rig.lifecycle.rerun(rig.cell(), "ezra", { id: 4, login: "owner" });
  rig.report("run-started", started(id, 2, rig.clock.now()));
  report({ run: 1, health: "stalled" });
  expect(rig.cell().health).toBe("healthy");
  report({ run: 2, health: "quiet", reason: "no output" });
  expect(rig.cell().health).toBe("quiet");
  report({ run: 3, health: "dead" });
  expect(rig.cell().health).toBe("quiet");
});

describe("the card", () => {
  it("is edited at once when the health is another, soon for words of the agent, and never for a sign of life", async () => {
    rig.active();
    rig.clearJobs();
    report({ seenAt: rig.clock.now() + 1 });
    report({ reason: "output, heartbeats" });
    expect(cards()).toEqual([]);
    report({ beat: BEAT });
    expect(cards()).toEqual([30_000]);
    await rig.clock.advance(10_000);
    report({ beat: { ...BEAT, message: "4 of 7" } });
    expect(cards()).toEqual([20_000]);
    report({ health: "quiet" });
    expect(cards()).toEqual([0]);
    rig.clearJobs();
    report({ health: "quiet" });
    expect(cards()).toEqual([]);
    report({ health: "quiet", reason: "no output" });
    expect(cards()).toEqual([30_000]);
    report({ health: "stalled" });
    expect(cards()).toEqual([0]);
  });

  it("keeps the time at which an agent said first what it says again", async () => {
    rig.active();
    report({ beat: BEAT });
    rig.clearJobs();
    report({ beat: { ...BEAT, at: 60_000 } });
    expect(rig.cell().beat).toEqual(BEAT);
    expect(cards()).toEqual([]);
    report({ beat: { ...BEAT, at: 60_000, progress: 0.5 } });
    expect(rig.cell().beat).toEqual({ ...BEAT, at: 60_000, progress: 0.5 });
  });

  it("gets an agent's words five minutes after the last ones", () => {
    rig.active();
    rig.registry.update(ID, { cardShown: { text: "", calm: "", wordsAt: rig.clock.now() - 60_000, at: 0 } });
    rig.clearJobs();
    report({ beat: BEAT });
    expect(cards()).toEqual([240_000]);
  });

  it("of an agent's words is not put off by the next ones", async () => {
    rig.active();
    rig.clearJobs();
    for (let n = 0; n < 10; n++) {
      report({ beat: { ...BEAT, message: `${n} of 10` } });
      await rig.clock.advance(5_000);
    }
    expect(cards()).toEqual([-20_000]);
  });

  it("says the end of a run together with what came of it, which takes a moment", () => {
    rig.active();
    rig.clearJobs();
    report({ beat: BEAT });
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    expect(cards()).toEqual([4_000]);
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest({ changed: false, tip: null }) });
    expect(cards()).toEqual([0]);
  });
});
