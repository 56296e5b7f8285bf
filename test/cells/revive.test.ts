import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Cell } from "../../src/cells/cell.ts";
import { type ControlRig, createControl, ended, harvest, ID, started } from "../fakes/control-rig.ts";

let rig: ControlRig;
const DEV = { id: 3, login: "dev" };
const OWNER = { id: 1, login: "owner" };
const HOUR = 60 * 60_000;

beforeEach(() => {
  rig = createControl({ config: { limits: { ttl: "4h", cells: 1 } } });
});
afterEach(() => rig.remove());

/** A cell that published, was sealed, and whose retention runs. */
function archived(): Cell {
  const { id } = rig.idle();
  rig.report("pushed", {
    cellId: id,
    run: 1,
    branch: "lazarus/4f1c0b7e",
    tip: harvest().tip ?? "",
    divertedFrom: null,
  });
  rig.reports.drafted(id, 271, "acme/app");
  const closing = {
    by: "owner",
    discard: false,
    thenDestroy: false,
    outcome: "merged",
    person: null,
  } as const;
  rig.lifecycle.close(rig.cell(), closing, "closed by owner");
  rig.report("sealed", { cellId: id, bytes: 1 });
  rig.clearJobs();
  return rig.cell();
}

const revive = () => rig.lifecycle.rerun(rig.cell(), "allegro", OWNER);

describe("an archived cell that is revived", () => {
  it("is restored first, then its run starts, and only that makes it active, for a whole TTL", () => {
    const before = archived();
    rig.clock.advance(30 * 24 * HOUR);
    revive();
    expect(rig.waiting()).toEqual(["restore", "card"]);
    expect(rig.payloads("restore")).toEqual([
      {
        cellId: ID,
        run: 2,
        user: null,
        stored: null,
        repository: before.repository,
        baseCommit: before.baseCommit,
        baseRef: "refs/heads/main",
      },
    ]);
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "merged" });
    rig.clearJobs();
    rig.report("restored", { cellId: ID, run: 2 });
    expect(rig.waiting()).toEqual(["take-in"]);
    expect(rig.cell().state).toBe("archived");
    rig.clearJobs();
    rig.report("taken-in", { cellId: ID, run: 2, people: null });
    expect(rig.waiting()).toEqual(["start"]);
    expect(rig.cell().state).toBe("archived");
    rig.clearJobs();
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    expect(rig.cell()).toMatchObject({
      state: "active",
      expiresAt: rig.clock.now() + 4 * HOUR,
      keepUntil: null,
      closing: null,
    });
    expect(rig.waiting()).toContain("mark");
    expect(rig.registry.history(ID).at(-1)).toMatchObject({ from: "archived", to: "active", who: "owner" });
  });

  it("publishes a second time on top of the first, and is sealed anew", () => {
    archived();
    revive();
    rig.report("restored", { cellId: ID, run: 2 });
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    rig.clearJobs();
    rig.report("run-ended", ended(ID, 2, rig.clock.now()));
    const tip = "2".repeat(40);
    rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip }) });
    rig.steps.push(rig.payloads("publish")[0] ?? { cellId: "", run: 0, tip: "", asked: "" });
    expect(rig.payloads("push")).toMatchObject([{ tip, branch: "lazarus/4f1c0b7e", lease: harvest().tip }]);
    rig.report("pushed", {
      cellId: ID,
      run: 2,
      branch: "lazarus/4f1c0b7e",
      tip,
      divertedFrom: null,
    });
    rig.clearJobs();
    const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null } as const;
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    expect(rig.waiting()).toContain("seal");
    rig.report("sealed", { cellId: ID, bytes: 2 });
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "done" });
    expect(rig.payloads("prune")).toMatchObject([{ run: null }]);
  });

  it("stays archived while its run waits in line, and is not kept shorter for it", () => {
    const other = "99999999-1111-4222-8333-444455556666";
    archived();
    rig.active({ id: other, branch: "lazarus/99999999" });
    rig.clearJobs();
    revive();
    expect(rig.waiting()).toEqual(["card"]);
    expect(rig.cell().state).toBe("archived");
    expect(rig.run().state).toBe("waiting");
    rig.report("run-ended", ended(other, 1, rig.clock.now()));
    expect(rig.run().state).toBe("admitted");
    expect(rig.payloads("admit")).toEqual([{ cellId: ID, run: 2 }]);
  });

  it("keeps its outcome, withdraws the run and says why where its archive is damaged", () => {
    archived();
    revive();
    rig.clearJobs();
    rig.report("restore-refused", {
      cellId: ID,
      run: 2,
      why: "the archive is damaged: cell.tar.gz is missing",
    });
    expect(rig.run()).toMatchObject({ state: "withdrawn", startedAt: null });
    expect(rig.cell()).toMatchObject({
      state: "archived",
      outcome: "merged",
      reason: "not brought back: the archive is damaged: cell.tar.gz is missing",
    });
    expect(rig.waiting()).toEqual(["card"]);
    rig.report("restored", { cellId: ID, run: 2 });
    expect(rig.waiting()).toEqual(["card", "prune"]);
    expect(revive().n).toBe(3);
  });

  it("is told the same where the job was given up", () => {
    archived();
    revive();
    const stuck = { cellId: ID, kind: "restore", run: 2, why: "no space left on the device" };
    rig.reports.stuck({ ...stuck, retryAt: 1 });
    expect(rig.run().state).toBe("admitted");
    rig.reports.stuck({ ...stuck, retryAt: null });
    expect(rig.run().state).toBe("withdrawn");
    expect(rig.cell().reason).toBe("not brought back: no space left on the device");
  });

  it("is put away again where the run cannot start, or is stopped on its way", () => {
    archived();
    revive();
    rig.report("restored", { cellId: ID, run: 2 });
    rig.clearJobs();
    rig.report("run-refused", { cellId: ID, run: 2, why: "there is no agent allegro" });
    expect(rig.cell()).toMatchObject({
      state: "archived",
      outcome: "merged",
      reason: "there is no agent allegro",
    });
    expect(rig.payloads("prune")).toMatchObject([{ cellId: ID, run: 2, mission: { status: "archived" } }]);
    rig.clearJobs();
    revive();
    expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(true);
    expect(rig.payloads("restore")).toEqual([]);
    rig.report("run-ended", ended(ID, 3, rig.clock.now(), { began: false, stopped: "stopped by dev" }));
    expect(rig.cell().state).toBe("archived");
    expect(rig.payloads("prune")).toMatchObject([{ run: 3 }]);
  });

  it("was at work where its run began and ended before anybody reported that", () => {
    archived();
    revive();
    rig.report("restored", { cellId: ID, run: 2 });
    rig.report("run-ended", ended(ID, 2, rig.clock.now()));
    expect(rig.cell()).toMatchObject({ state: "idle", expiresAt: rig.clock.now() + 4 * HOUR });
    expect(rig.payloads("prune")).toEqual([]);
    expect(rig.payloads("collect")).toMatchObject([{ run: 2 }]);
  });

  it("cannot be revived twice at a time, never when it was not sealed, and not when it is being destroyed", () => {
    archived();
    revive();
    expect(revive).toThrow(/moved on/);
    rig.lifecycle.destroy(rig.cell(), "owner");
    expect(revive).toThrow(/moved on/);
    rig.report("scrubbed", { cellId: ID });
    expect(rig.cell().state).toBe("destroyed");
    expect(rig.run().state).toBe("ended");
    const unmade = "88888888-1111-4222-8333-444455556666";
    rig.create({ id: unmade, branch: "lazarus/88888888" });
    rig.report("run-refused", { cellId: unmade, run: 1, why: "no" });
    expect(() => rig.lifecycle.rerun(rig.cell(unmade), "allegro", DEV)).toThrow(/moved on/);
  });

  it("is destroyed in the middle of its restoring, which is ended, and nothing starts any more", () => {
    archived();
    revive();
    rig.lifecycle.destroy(rig.cell(), "owner");
    expect(rig.payloads("restore")).toEqual([]);
    expect(rig.waiting()).toContain("scrub");
    const before = rig.waiting();
    rig.report("restored", { cellId: ID, run: 2 });
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    expect(rig.waiting()).toEqual(before);
    expect(rig.cell().state).toBe("archived");
    rig.report("scrubbed", { cellId: ID });
    expect(rig.cell().state).toBe("destroyed");
  });
});
