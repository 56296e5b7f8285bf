import { afterEach, expect, it } from "vitest";
import type { CheckEnd } from "../../../src/protocol/checks.ts";
import { type ControlRig, createControl, ended, harvest, ID, started, TIP } from "../../fakes/control-rig.ts";

let rig: ControlRig;
afterEach(() => rig.remove());

const BY_OWNER = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null } as const;
const set = (limits: Readonly<Record<string, unknown>> = {}) => {
  rig = createControl({
    config: { checks: { "acme/app": { lint: "npm run lint", test: "npm test" } }, limits },
  });
};
const planned = (names: readonly string[]) =>
  names.map((name) => ({
    ...{ name, command: `npm run ${name}`, source: null, digest: name },
    ...{ network: "none" as const, limitMs: 60_000 },
  }));
/** What was pushed is a draft, and it is known what is to be run on it. */
function published(names: readonly string[] = ["lint", "test"]): void {
  rig.idle();
  rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "lazarus/4f1c0b7e", divertedFrom: null });
  rig.reports.drafted(ID, 271, "acme/app");
  rig.report("checks-planned", { cellId: ID, tip: TIP, checks: planned(names), faults: [], trouble: null });
}
const begins = (check: number) =>
  rig.report("check-started", {
    ...{ cellId: ID, check, handle: { pid: 4713 } },
    ...{ startedAt: rig.clock.now(), limitMs: 60_000 },
  });
const ends = (check: number, more: Partial<CheckEnd> = {}) =>
  rig.report("check-ended", {
    ...{ cellId: ID, check },
    end: {
      ...{ endedAt: rig.clock.now(), code: 0, signal: null, stopped: null, isOverTime: false },
      ...{ isOutOfMemory: false, tail: "", refusedHosts: [], leftovers: [], ...more },
    },
  });
const states = () => rig.steps.checks.results(rig.cell()).map(({ name, state }) => `${name} ${state}`);
const asked = () => rig.payloads("review").length;

it("is looked for once the draft is open; whoever asked looks when all are through", () => {
  set();
  rig.idle();
  rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "lazarus/4f1c0b7e", divertedFrom: null });
  expect(rig.payloads("plan-checks")).toEqual([]);
  rig.reports.drafted(ID, 271, "acme/app");
  expect(rig.payloads("plan-checks")).toMatchObject([{ cellId: ID, tip: TIP }]);
  rig.report("checks-planned", {
    cellId: ID,
    tip: TIP,
    checks: planned(["lint"]),
    faults: [],
    trouble: null,
  });
  expect(rig.payloads("check")).toMatchObject([{ check: 1, name: "lint", commit: TIP, agent: "allegro" }]);
  expect([rig.cell().state, asked()]).toEqual(["idle", 0]);
  begins(1);
  expect(rig.cell().state).toBe("active");
  ends(1);
  expect([rig.cell().state, states(), asked()]).toEqual(["idle", ["lint passed"], 1]);
});

it("asks for the review at once where nothing is to be run", () => {
  set();
  published([]);
  expect([rig.payloads("check"), asked(), states()]).toEqual([[], 1, []]);
});

it("says why where none can be run, and hinders nothing", () => {
  set();
  rig.idle();
  rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "lazarus/4f1c0b7e", divertedFrom: null });
  rig.reports.drafted(ID, 271, "acme/app");
  rig.reports.stuck({ cellId: ID, kind: "plan-checks", run: null, why: "no mirror", retryAt: null });
  expect([rig.cell().checked?.trouble, asked()]).toEqual(["no mirror", 1]);
});

it("goes on with the next where one could not be begun", () => {
  set();
  published();
  rig.reports.stuck({ cellId: ID, kind: "check", run: null, check: 1, why: "disk full", retryAt: null });
  begins(2);
  ends(2);
  expect([states(), rig.cell().state]).toEqual([["lint broken", "test passed"], "idle"]);
});

it("begins once more what nobody saw end, and not again", () => {
  set();
  published(["lint"]);
  for (const check of [1, 2]) {
    begins(check);
    ends(check, { code: null });
  }
  expect([states(), rig.payloads("check").length, rig.cell().state]).toEqual([["lint lost"], 2, "idle"]);
});

it.each([
  [{ code: 3 }, "failed"],
  [{ code: null, signal: "KILL" }, "failed"],
  [{ code: 127 }, "broken"],
  [{ code: 137, isOutOfMemory: true }, "broken"],
  [{ code: null, signal: "KILL", stopped: "over its limit of 1m", isOverTime: true }, "timed-out"],
  [{ code: null, signal: "KILL", stopped: "over its disk of 1 GB: 2 GB" }, "broken"],
])("tells what %j comes to", (end, state) => {
  set({ fixes: 0 });
  published(["lint"]);
  begins(1);
  ends(1, end);
  expect(states()).toEqual([`lint ${state}`]);
});

it("has the agent mend what passes on the base, so often in a row, and asks people then", () => {
  set({ fixes: 1 });
  published(["lint"]);
  begins(1);
  ends(1, { code: 1, tail: "no semicolon" });
  expect(rig.payloads("check").at(-1)).toMatchObject({ check: 2, commit: rig.cell().baseCommit });
  begins(2);
  ends(2);
  expect([rig.run().turnKind, rig.run().agent, asked()]).toEqual(["fix", "allegro", 0]);
  expect(rig.registry.prompts.of(rig.run()).text).toContain("no semicolon");
  rig.steps.start(ID, 2);
  rig.report("run-started", started(ID, 2, rig.clock.now()));
  rig.report("run-ended", ended(ID, 2, rig.clock.now()));
  const tip = "9".repeat(40);
  rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip }) });
  rig.report("pushed", { cellId: ID, run: 2, tip, branch: "lazarus/4f1c0b7e", divertedFrom: null });
  rig.report("checks-planned", { cellId: ID, tip, checks: planned(["lint"]), faults: [], trouble: null });
  begins(3);
  ends(3, { code: 1 });
  // What the base comes to is known.
  expect([rig.run().n, rig.cell().state, asked()]).toEqual([2, "idle", 1]);
});

it("runs out of the time that all of them have", async () => {
  set({ checks: "1m" });
  published();
  begins(1);
  await rig.clock.advance(61_000);
  ends(1);
  expect([states(), rig.cell().state]).toEqual([["lint passed", "test timed-out"], "idle"]);
});

it("gives way to a run, and is done again where that changes nothing", () => {
  set();
  published();
  begins(1);
  rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev", words: "once more" });
  expect(rig.payloads("end-check")).toMatchObject([{ check: 1, handle: { pid: 4713 } }]);
  expect([rig.cell().state, states(), rig.payloads("plan-checks")]).toEqual(["idle", [], []]);
  // It was under way already.
  ends(1, { code: null, stopped: "superseded" });
  expect(rig.cell().state).toBe("idle");
  rig.report("run-started", started(ID, 2, rig.clock.now()));
  rig.report("run-ended", ended(ID, 2, rig.clock.now()));
  rig.report("collected", { cellId: ID, run: 2, harvest: harvest() });
  expect(rig.payloads("plan-checks")).toMatchObject([{ tip: TIP }]);
});

it("is done where it was planned beside one run, and the next one changes nothing either", () => {
  set();
  rig.idle();
  rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "lazarus/4f1c0b7e", divertedFrom: null });
  rig.reports.drafted(ID, 271, "acme/app");
  rig.clearJobs();
  const changesNothing = (run: number) => {
    rig.report("run-ended", ended(ID, run, rig.clock.now()));
    rig.report("collected", { cellId: ID, run, harvest: harvest() });
  };
  const again = (run: number) => {
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev", words: "once more" });
    rig.steps.start(ID, run);
    rig.report("run-started", started(ID, run, rig.clock.now()));
  };
  again(2);
  const plan = { checks: planned(["lint"]), faults: [], trouble: null };
  rig.report("checks-planned", { cellId: ID, tip: TIP, ...plan });
  const [author, at] = [{ id: 3, login: "dev" }, rig.clock.now()];
  const asker = { via: "cli", request: "a request", operator: "root" } as const;
  rig.deps.telling.tell({ cellId: ID, agent: null, author, said: "and this", asker, at }, { isNow: false });
  changesNothing(2);
  rig.steps.start(ID, 3);
  rig.report("run-started", started(ID, 3, rig.clock.now()));
  changesNothing(3);
  expect(rig.payloads("check")).toMatchObject([{ check: 1, name: "lint", commit: TIP }]);
});

it("is stopped by a person for good, and the work is as it was", () => {
  set();
  published();
  begins(1);
  expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(true);
  expect([rig.cell().state, states()]).toEqual(["idle", ["lint stopped", "test stopped"]]);
  expect([rig.payloads("end-check").length, rig.payloads("check").length, asked()]).toEqual([1, 0, 1]);
});

it("ends before its cell is sealed", () => {
  set();
  published();
  begins(1);
  rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
  const kinds = rig.waiting().filter((kind) => kind === "end-check" || kind === "seal");
  expect([rig.cell().state, kinds]).toEqual(["closing", ["end-check", "seal"]]);
});

it("holds a place that only a run of the same cell may take", () => {
  set({ cells: 1 });
  published();
  begins(1);
  const other = "5a1c0b7e-0000-4000-8000-000000000001";
  rig.create({ id: other, number: 263, branch: "lazarus/5a1c0b7e" });
  expect(rig.registry.lastRun(other)?.state).toBe("waiting");
  const waiting = rig.registry.lastRun(other);
  expect(waiting === null ? null : rig.steps.blockedBy(waiting)).toMatchObject({ limit: "1 of 1 cells run" });
  rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
  expect(rig.run().state).toBe("admitted");
  rig.report("run-started", started(ID, 2, rig.clock.now()));
  rig.report("run-ended", ended(ID, 2, rig.clock.now()));
  expect(rig.registry.lastRun(other)?.state).toBe("admitted");
});
