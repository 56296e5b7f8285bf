import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Closing } from "../../src/cells/cell.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  nothingLeft,
  started,
  TIP,
} from "../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const OTHER = "9ab24c11-1111-4222-8333-444455556666";
const BY_OWNER: Closing = {
  by: "owner",
  discard: false,
  thenDestroy: false,
  outcome: null,
  person: "owner",
};
const now = () => rig.clock.now();
const { stringify } = JSON;
const moves = (id = ID) => rig.registry.history(id).map((row) => row.to);
const limits = (more: object) => {
  rig.remove();
  rig = createControl({ config: { limits: more } });
};
/** Kinds that wait, without those that only tell. */
/** What follows for the cell itself: cards, marks and reactions only tell of it. */
const steps = () => rig.waiting().filter((kind) => !["card", "mark", "react"].includes(kind));
/** Marks the waiting jobs of a kind as given up, as the queue does. */
const kill = (kind: string) =>
  rig.db.sql.prepare("UPDATE jobs SET state = 'dead' WHERE kind = ? AND state = 'waiting'").run(kind);
const pushed = (tip = TIP, branch = "lazarus/4f1c0b7e", divertedFrom: string | null = null) =>
  rig.report("pushed", { cellId: ID, run: 1, branch, tip, divertedFrom });
const published = () => {
  rig.idle();
  pushed();
  rig.reports.drafted(ID, 271, "acme/app");
  rig.clearJobs();
  return rig.cell();
};

describe("the good day of a cell", () => {
  it("goes from summons to tombstone, one job after the other", () => {
    rig.create();
    expect([rig.cell().state, rig.run().state, steps()]).toEqual(["proposed", "admitted", ["start"]]);
    expect(rig.payloads("start")[0]).toMatchObject({
      run: 1,
      cell: { id: ID, target: "acme/app#262", brief: rig.cell().brief },
    });
    rig.clearJobs();
    rig.report("run-started", started(ID, 1, now()));
    expect([rig.cell().state, rig.cell().health, rig.run().state]).toEqual(["active", "healthy", "running"]);
    rig.report("run-ended", ended(ID, 1, now()));
    expect([rig.cell().state, rig.cell().health, steps()]).toEqual(["idle", null, ["collect"]]);
    rig.clearJobs();
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect([rig.cell().outcome, steps()]).toEqual(["done", ["publish"]]);
    rig.steps.push({ cellId: ID, run: 1, tip: TIP, asked: "1" });
    expect(rig.payloads("push")[0]).toMatchObject({ tip: TIP, lease: null, branch: "lazarus/4f1c0b7e" });
    rig.clearJobs();
    pushed();
    expect(steps()).toEqual(["draft"]);
    rig.clearJobs();
    rig.reports.drafted(ID, 271, "acme/app");
    expect(steps()).toEqual(["review"]);
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect([rig.cell().state, steps()]).toEqual(["closing", ["seal"]]);
    rig.clearJobs();
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect([rig.cell().state, steps()]).toEqual(["archived", ["prune", "comment"]]);
    expect(rig.announced).toMatchObject([{ kind: "closed", by: "owner", person: "owner" }]);
    rig.clearJobs();
    rig.lifecycle.destroy(rig.cell(), "owner");
    expect(steps()).toEqual(["scrub"]);
    rig.report("scrubbed", { cellId: ID });
    expect(moves()).toEqual(["proposed", "active", "idle", "closing", "archived", "destroyed"]);
    expect(rig.cell()).toMatchObject({ closing: null, harvest: null, health: null });
  });

  it("goes on after a revive, with the lease of what was pushed last", () => {
    published();
    rig.lifecycle.rerun(rig.cell(), "ezra", { id: 4, login: "owner" });
    rig.report("run-started", started(ID, 2, now()));
    rig.report("run-ended", ended(ID, 2, now()));
    const tip = "2".repeat(40);
    rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip }) });
    rig.steps.push({ cellId: ID, run: 2, tip: tip, asked: "1" });
    expect(rig.payloads("push")[0]).toMatchObject({ tip, lease: TIP });
    rig.clearJobs();
    rig.report("pushed", {
      cellId: ID,
      run: 2,
      branch: "lazarus/4f1c0b7e",
      tip,
      divertedFrom: null,
    });
    expect(steps()).toEqual(["draft"]);
    expect(rig.registry.history(ID).at(-2)).toMatchObject({ who: "owner", why: "working: ezra" });
  });

  it("seals nothing before it is collected, also when a later run was taken out of the line", () => {
    rig.create();
    rig.report("run-started", started(ID, 1, now()));
    rig.report("run-ended", ended(ID, 1, now()));
    const requester = { id: 4, login: "owner" };
    rig.registry.addRun({ cellId: ID, agent: "ezra", role: "executor", requester, state: "waiting" });
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect([rig.cell().state, rig.registry.mustRun(ID, 2).state]).toEqual(["closing", "withdrawn"]);
    expect(steps()).not.toContain("seal");
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(steps()).toContain("publish");
    expect(steps()).not.toContain("seal");
  });

  it("opens a draft of its own where people moved the branch", () => {
    published();
    rig.registry.update(ID, { harvest: harvest({ tip: "2".repeat(40) }) });
    pushed("2".repeat(40), "lazarus/4f1c0b7e-2", "lazarus/4f1c0b7e");
    expect(rig.cell()).toMatchObject({ pullRequest: null, publishedBranch: "lazarus/4f1c0b7e-2" });
    expect(rig.cell().reason).toContain("somebody pushed to lazarus/4f1c0b7e meanwhile");
    expect(steps()).toContain("draft");
  });

  it("pushes no tip that is not the last one found", () => {
    rig.idle();
    rig.clearJobs();
    rig.steps.push({ cellId: ID, run: 1, tip: "2".repeat(40), asked: "1" });
    pushed();
    rig.clearJobs();
    rig.steps.push({ cellId: ID, run: 1, tip: TIP, asked: "1" });
    expect(steps()).toEqual([]);
  });
});

describe("a run that waits", () => {
  it("starts by itself when a place is free, after its rights were looked at again", () => {
    limits({ cells: 1 });
    rig.active();
    rig.create({ id: OTHER });
    expect(rig.run(OTHER).state).toBe("waiting");
    expect(rig.steps.blockedBy(rig.run(OTHER))).toEqual({ limit: "1 of 1 cells run", place: 1 });
    rig.clearJobs();
    rig.report("run-ended", ended(ID, 1, now()));
    expect(rig.run(OTHER).state).toBe("admitted");
    expect(rig.payloads("admit")).toEqual([{ cellId: OTHER, run: 1 }]);
    expect(rig.payloads("start")).toEqual([]);
  });

  it("is withdrawn by stop, and a cell that was never made leaves nothing", () => {
    limits({ cells: 1 });
    rig.active();
    rig.create({ id: OTHER });
    expect(rig.lifecycle.stop(rig.cell(OTHER), "dev")).toBe(true);
    expect(rig.cell(OTHER)).toMatchObject({
      state: "archived",
      outcome: "discarded",
      reason: "stopped by dev",
    });
    expect(rig.payloads("scrub")).toMatchObject([{ cellId: OTHER }]);
    expect(rig.cell(OTHER).sealedAt).toBeNull();
  });

  it("keeps what an idle cell came to when only its next run is withdrawn", () => {
    limits({ cells: 1 });
    published();
    rig.active({ id: OTHER });
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
    rig.lifecycle.stop(rig.cell(), "dev");
    expect(rig.cell()).toMatchObject({ state: "idle", outcome: "done" });
    expect(rig.run().state).toBe("withdrawn");
  });

  it("waits for a director's word, and then for nothing else", () => {
    rig.create({ waitsForApproval: true, approval: "the text was changed" });
    expect([rig.run().state, steps()]).toEqual(["waiting", []]);
    rig.lifecycle.approve(rig.cell());
    expect([rig.run().state, steps(), rig.cell().reason]).toEqual(["admitted", ["start"], null]);
  });

  it("gives its place to the next when the runner refuses it", () => {
    limits({ cells: 1 });
    rig.create();
    rig.create({ id: OTHER });
    rig.report("run-refused", { cellId: ID, run: 1, why: "hermes is not installed" });
    expect(rig.cell()).toMatchObject({
      state: "archived",
      outcome: "failed",
      reason: "hermes is not installed",
    });
    expect(rig.run(OTHER).state).toBe("admitted");
  });

  it.each(["start", "admit"])("gives its place back when its %s is given up", (kind) => {
    rig.create();
    rig.reports.stuck({ cellId: ID, kind, run: 1, why: "no rights to ask", retryAt: null });
    expect([rig.cell().state, rig.run().state, rig.cell().reason]).toEqual([
      "archived",
      "ended",
      "no rights to ask",
    ]);
  });
});

describe("stop", () => {
  it("ends a start that is under way, and looks for what it left", () => {
    rig.create();
    expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(true);
    expect(steps()).toEqual(["stop"]);
    expect(rig.payloads("start", ["ended"])).toHaveLength(1);
    rig.report("run-ended", ended(ID, 1, now(), { began: false, code: null, stopped: "stopped by dev" }));
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "discarded", reason: "stopped by dev" });
  });

  it("counts the work of a run that was stopped before its start was reported", () => {
    rig.create();
    rig.lifecycle.stop(rig.cell(), "dev");
    rig.clearJobs();
    rig.report("run-ended", ended(ID, 1, now(), { code: null, stopped: "stopped by dev" }));
    expect([moves(), steps()]).toEqual([["proposed", "active", "idle"], ["collect"]]);
    rig.report("run-started", started(ID, 1, now()));
    expect(rig.cell().state).toBe("idle");
  });

  it("is heard again by the same person after the first one came to nothing", () => {
    rig.active();
    rig.clearJobs();
    rig.lifecycle.stop(rig.cell(), "dev");
    rig.lifecycle.stop(rig.cell(), "dev");
    expect(steps()).toEqual(["stop"]);
    kill("stop");
    rig.lifecycle.stop(rig.cell(), "dev");
    expect(steps()).toEqual(["stop"]);
  });

  it("has nothing to do where nothing runs", () => {
    rig.idle();
    rig.clearJobs();
    expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(false);
    expect(steps()).toEqual([]);
  });

  it("follows from a limit, and only while the run lives", () => {
    rig.active();
    rig.clearJobs();
    const report = { cellId: ID, run: 1, limit: "time" as const, why: "over its wall clock of 2 h" };
    rig.report("over-limit", report);
    expect(rig.payloads("stop")).toMatchObject([{ run: 1, why: report.why, handle: { pid: 4711 } }]);
    rig.report("run-ended", ended(ID, 1, now(), { code: null, stopped: report.why }));
    rig.clearJobs();
    rig.report("over-limit", report);
    expect(steps()).toEqual([]);
    rig.report("collected", { cellId: ID, run: 1, harvest: nothingLeft() });
    expect(rig.cell().outcome).toBe("failed");
  });
});

describe("close", () => {
  it("stops what runs, collects, publishes and only then seals", () => {
    rig.active();
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect([rig.cell().state, steps()]).toEqual(["closing", ["stop"]]);
    rig.clearJobs();
    rig.report("run-ended", ended(ID, 1, now(), { code: null, stopped: "closed by owner" }));
    expect([rig.cell().state, steps()]).toEqual(["closing", ["collect"]]);
    rig.clearJobs();
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(steps()).toEqual(["publish"]);
    rig.clearJobs();
    pushed();
    expect(steps()).toEqual(["draft"]);
    rig.clearJobs();
    rig.reports.drafted(ID, 271, "acme/app");
    expect([rig.cell().state, steps()]).toEqual(["closing", ["review", "seal"]]);
  });

  it("stops a run that is being started, and takes one that waits out of the line", () => {
    published();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: 3, login: "dev" });
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect(steps()).toEqual(["stop"]);
    rig.report("run-ended", ended(ID, 2, now(), { began: false, code: null, stopped: "closed" }));
    expect(steps()).toContain("seal");

    rig.create({ id: OTHER });
    rig.report("run-started", started(OTHER, 1, now()));
    rig.report("run-ended", ended(OTHER, 1, now()));
    rig.report("collected", { cellId: OTHER, run: 1, harvest: nothingLeft() });
    rig.registry.addRun({ ...rig.run(OTHER), state: "waiting" });
    rig.lifecycle.close(rig.cell(OTHER), BY_OWNER, "closed by owner");
    expect(rig.run(OTHER)).toMatchObject({ n: 2, state: "withdrawn" });
  });

  it("comes back to idle with the reason when the push is refused, and can be asked for again", () => {
    rig.idle();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    rig.clearJobs();
    rig.report("push-refused", { cellId: ID, run: 1, why: "the branch is protected" });
    expect(rig.cell()).toMatchObject({
      ...{ state: "idle", closing: null },
      reason: "not published: the branch is protected",
    });
    expect(rig.registry.history(ID).at(-1)).toMatchObject({
      from: "closing",
      to: "idle",
      why: "not closed: the branch is protected",
    });
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    // Whoever wanted it closed hears why it was not.
    expect(steps()).toEqual(["comment", "publish"]);
  });

  it("does not seal away what was held back, unless it is to be discarded", () => {
    rig.idle({}, { heldBack: ["it changes a workflow"] });
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect(rig.cell()).toMatchObject({
      state: "idle",
      reason: "it was not closed, since what it made is held back",
    });
    expect(steps()).toEqual(["comment"]);
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), { ...BY_OWNER, discard: true }, "closed by owner");
    expect([rig.cell().state, steps()]).toEqual(["closing", ["seal"]]);
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "discarded" });
  });

  it.each(["collect", "seal"])("tries a %s again that had been given up", (kind) => {
    rig.active();
    rig.report("run-ended", ended(ID, 1, now()));
    if (kind === "seal") rig.report("collected", { cellId: ID, run: 1, harvest: nothingLeft() });
    if (kind === "seal") rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    kill(kind);
    rig.reports.stuck({ cellId: ID, kind, run: 1, why: "the disk is full", retryAt: null });
    expect(rig.cell().state).toBe("idle");
    expect(rig.cell().reason).toContain("the disk is full");
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect(steps()).toContain(kind);
  });

  it("waits for nothing that is to be looked through where it is to be discarded", () => {
    rig.create();
    rig.clearJobs();
    rig.report("run-started", started(ID, 1, now()));
    rig.report("run-ended", ended(ID, 1, now()));
    expect(steps()).toEqual(["collect"]);
    rig.lifecycle.close(rig.cell(), { ...BY_OWNER, discard: true }, "closed by owner");
    expect(steps()).toEqual(["seal"]);
  });

  it("looks through it after all where it could not be sealed, and is closed with its work then", () => {
    rig.create();
    rig.clearJobs();
    rig.report("run-started", started(ID, 1, now()));
    rig.report("run-ended", ended(ID, 1, now()));
    rig.lifecycle.close(rig.cell(), { ...BY_OWNER, discard: true }, "closed by owner");
    rig.reports.stuck({ cellId: ID, kind: "seal", run: 1, why: "the disk is full", retryAt: null });
    expect(rig.cell().state).toBe("idle");
    rig.clearJobs();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    expect(steps()).toContain("collect");
  });

  it("leaves no word of a trouble that is over", () => {
    rig.idle();
    rig.reports.stuck({
      cellId: ID,
      kind: "push",
      run: 1,
      why: "the forge is down",
      retryAt: now() + 1,
    });
    expect(rig.cell().reason).toContain("tried again by itself");
    pushed();
    expect(rig.cell().reason).toBeNull();
    rig.report("push-refused", { cellId: ID, run: 1, why: "late" });
    pushed();
    expect(rig.cell()).toMatchObject({ reason: null, pushRefused: null });
  });
});

describe("destroy", () => {
  it.each([
    ["waits", () => void rig.create({ waitsForApproval: true })],
    ["is being started", () => void rig.create()],
    ["works", () => void rig.active()],
    ["is idle", () => void rig.idle()],
    ["is closing", () => rig.lifecycle.close(rig.idle(), BY_OWNER, "closed by owner")],
  ])("scrubs a cell that %s, ends what was to be done, and leaves a tombstone", (_how, bring) => {
    bring();
    rig.lifecycle.destroy(rig.cell(), "owner");
    const left = steps().filter((kind) => kind !== "draft");
    expect(left).toEqual(["scrub"]);
    expect(rig.payloads("scrub")[0]).toMatchObject({ cellId: ID });
    rig.report("scrubbed", { cellId: ID });
    expect(rig.cell()).toMatchObject({ state: "destroyed", closing: null });
    expect(moves().slice(-2)).toEqual(["archived", "destroyed"]);
    expect(["ended", "withdrawn"]).toContain(rig.run().state);
    expect(rig.registry.openRuns(["waiting", "admitted", "running"])).toEqual([]);
  });

  it("goes before a start that had begun: its late report brings nothing back to life", () => {
    rig.create();
    rig.lifecycle.destroy(rig.cell(), "owner");
    rig.report("run-started", started(ID, 1, now()));
    expect(rig.cell().state).toBe("proposed");
    rig.report("scrubbed", { cellId: ID });
    expect([rig.cell().state, rig.run().state]).toEqual(["destroyed", "ended"]);
  });

  it("goes before a seal whose report comes late", () => {
    published();
    rig.lifecycle.close(rig.cell(), BY_OWNER, "closed by owner");
    rig.lifecycle.destroy(rig.cell(), "owner");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    rig.report("scrubbed", { cellId: ID });
    expect(rig.cell().state).toBe("destroyed");
    expect(rig.announced).toEqual([]);
  });

  it("can be asked for again after it was given up", () => {
    published();
    rig.lifecycle.destroy(rig.cell(), "owner");
    kill("scrub");
    rig.reports.stuck({
      cellId: ID,
      kind: "scrub",
      run: null,
      why: "a mount lies below",
      retryAt: null,
    });
    rig.lifecycle.destroy(rig.cell(), "owner");
    expect(steps()).toEqual(["scrub"]);
  });
});

describe("a command that saw the cell as it no longer is", () => {
  const stale: [string, () => void][] = [
    ["revive twice", () => rig.lifecycle.rerun(rig.idle(), "allegro", { id: 3, login: "dev" })],
    ["close", () => rig.lifecycle.close(rig.active(), BY_OWNER, "closed by owner")],
    ["approve", () => rig.lifecycle.approve(rig.create({ waitsForApproval: true }))],
  ];
  it.each(stale)("is to look again: %s", (_what, first) => {
    first();
    const [cell, run, before] = [rig.cell(), rig.run(), stringify(rig.registry.history(ID))];
    const again = [
      () => rig.lifecycle.rerun(cell, "allegro", { id: 3, login: "dev" }),
      () => rig.lifecycle.approve(cell),
      ...(cell.state === "closing" ? [() => rig.lifecycle.close(cell, BY_OWNER, "again")] : []),
      ...(run.state === "running"
        ? [() => rig.lifecycle.withdraw(cell, run, { who: "dev", why: "x", outcome: "declined" })]
        : []),
    ];
    for (const act of again) expect(act).toThrow(expect.objectContaining({ retryable: true }));
    expect(stringify(rig.registry.history(ID))).toBe(before);
    expect(rig.registry.runs(ID)).toHaveLength(run.n);
  });
});
