import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MOVES, STATES } from "../../../src/cells/cell.ts";
import { createLocalQueue } from "../../../src/queue/local.ts";
import {
  type ControlRig,
  createControl,
  harvest,
  ID,
  NOTHING_YET,
  newCell,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const OTHER = "4f1c9999-1111-4222-8333-444455556666";
const insert = (more = {}) =>
  rig.registry.insert(
    newCell(rig.clock.now(), more),
    [{ name: "allegro", kind: "bot", role: "executor" }],
    "summoned by dev",
  );

describe("the registry", () => {
  it("keeps all of a cell", () => {
    insert();
    expect(rig.cell()).toEqual({
      ...newCell(rig.clock.now()),
      state: "proposed",
      ...NOTHING_YET,
    });
    expect(rig.registry.members(ID)).toEqual([{ name: "allegro", kind: "bot", role: "executor" }]);
  });

  it("moves along the table, and along nothing else", () => {
    insert();
    for (const from of STATES) {
      for (const to of STATES) {
        rig.db.sql.prepare("UPDATE cells SET state = ?").run(from);
        const move = () => rig.registry.move(ID, { from, to, who: "dev", why: "a reason" });
        if (MOVES[from].includes(to)) {
          move();
          expect(rig.cell().state).toBe(to);
        } else {
          expect(move, `${from} to ${to}`).toThrow(`there is no move from ${from} to ${to}`);
          expect(rig.cell().state).toBe(from);
        }
      }
    }
  });

  it("moves only a cell that is where the caller saw it, and writes no history for the others", () => {
    insert();
    expect(() => rig.registry.move(ID, { from: "idle", to: "active", who: "dev", why: "x" })).toThrow(
      "it is no longer idle",
    );
    expect(rig.registry.history(ID)).toHaveLength(1);
  });

  it("remembers each move: from, to, who, why, when", async () => {
    insert();
    await rig.clock.advance(1_000);
    rig.registry.move(ID, { from: "proposed", to: "active", who: "dev", why: "working: allegro" });
    const at = rig.clock.now();
    expect(rig.registry.history(ID)).toEqual([
      { at: at - 1_000, from: null, to: "proposed", who: "dev", why: "summoned by dev" },
      { at, from: "proposed", to: "active", who: "dev", why: "working: allegro" },
    ]);
  });

  it("finds cells by 4 characters of their id, in any case, and never by wildcards", () => {
    insert();
    insert({ id: OTHER });
    const ids = (prefix: string) => rig.registry.withPrefix(prefix).map((cell) => cell.id);
    expect(ids("4f1c")).toEqual([ID, OTHER]);
    expect(ids("4F1C0")).toEqual([ID]);
    expect(ids(ID)).toEqual([ID]);
    for (const prefix of ["4f1", "%%%%", "____", "4f1_", "4f1c%", "", `${ID}0`, "' OR 1=1"])
      expect(ids(prefix), prefix).toEqual([]);
  });

  it("writes what it is told about a cell and leaves the rest", () => {
    insert();
    const left = harvest({ report: "done" });
    rig.registry.update(ID, { harvest: left, outcome: "done", cardId: 9, waitsForApproval: true });
    expect(rig.cell()).toMatchObject({ harvest: left, outcome: "done", cardId: 9, waitsForApproval: true });
    rig.registry.update(ID, { harvest: null });
    expect(rig.cell()).toMatchObject({ harvest: null, outcome: "done" });
    expect(() => rig.registry.update(OTHER, { outcome: "done" })).toThrow("no row");
  });

  it("numbers the runs of each cell from 1", () => {
    insert();
    insert({ id: OTHER });
    const add = (cellId: string) =>
      rig.registry.addRun({
        cellId,
        agent: "allegro",
        role: "executor",
        requester: { id: 3, login: "dev" },
        state: "waiting",
      });
    expect([add(ID), add(ID), add(OTHER)]).toEqual([1, 2, 1]);
    rig.registry.updateRun(ID, 1, { state: "running", handle: { pid: 1 }, leftovers: ["1 sh"] });
    expect(rig.registry.run(ID, 1)).toMatchObject({
      state: "running",
      handle: { pid: 1 },
      leftovers: ["1 sh"],
    });
    expect(rig.registry.lastRun(ID)?.n).toBe(2);
    expect(rig.registry.openRuns(["waiting"]).map((run) => [run.cellId, run.n])).toEqual([
      [ID, 2],
      [OTHER, 1],
    ]);
  });

  it("never gives two drafts of a repository the same branch", () => {
    insert();
    expect(rig.registry.isBranchTaken(7, "lazarus/4f1c0b7e")).toBe(true);
    expect(rig.registry.isBranchTaken(8, "lazarus/4f1c0b7e")).toBe(false);
    expect(() => insert({ id: OTHER, branch: "lazarus/4f1c0b7e" })).toThrow("UNIQUE");
    expect(rig.registry.cell(OTHER)).toBeNull();
  });

  it("lists what is not destroyed, the tombstones when asked", () => {
    insert();
    insert({ id: OTHER });
    rig.db.sql.prepare("UPDATE cells SET state = 'destroyed' WHERE id = ?").run(ID);
    expect(rig.registry.list().map((cell) => cell.id)).toEqual([OTHER]);
    expect(rig.registry.list(["destroyed"]).map((cell) => cell.id)).toEqual([ID]);
    expect(rig.registry.ofThread(7, 262).map((cell) => cell.id)).toEqual([ID, OTHER]);
    expect(rig.registry.ofThread(8, 262)).toEqual([]);
  });

  it("looks at no row of what is over in what is asked every few seconds", () => {
    const asked: string[] = [];
    const prepare = rig.db.sql.prepare.bind(rig.db.sql);
    rig.db.sql.prepare = ((text: string) => {
      asked.push(text);
      return prepare(text);
    }) as never;
    rig.registry.hasDueRun(0, 1);
    rig.registry.openRuns(["waiting"]);
    rig.registry.list(["active"]);
    rig.registry.standing({ state: "idle", runner: "local" }, 0, 10);
    rig.registry.standing({ state: "idle", runner: "r1" }, 0, 10);
    rig.registry.runners.cellsOf("r1");
    rig.registry.runners.notTold("r1", null);
    rig.registry.runners.atWorkOn("r1");
    rig.registry.runners.atWork();
    rig.deps.deadlines.endingBefore(1);
    rig.deps.deadlines.keptUntil(1);
    rig.deps.deadlines.shift(1);
    createLocalQueue({ db: rig.db, clock: rig.clock, log: { info() {}, warn() {}, error() {} } }).prune(1);
    const plans = asked.map((text) => {
      const names = [...text.matchAll(/@(\w+)/g)].map(([, name]) => [name, 1]);
      const places = text.includes("?") ? [1] : [];
      const rows = prepare(`EXPLAIN QUERY PLAN ${text}`).all(...places, Object.fromEntries(names));
      return { text, plan: (rows as { detail: string }[]).map((row) => row.detail) };
    });
    const scans = plans.filter(({ plan }) =>
      plan.some((one) => /^SCAN (cells|runs|job_keys)\b(?!.*cells_state)/.test(one)),
    );
    const finished = plans.filter(
      ({ text, plan }) => text.startsWith("DELETE FROM jobs") && !plan.join().includes("jobs_ended"),
    );
    expect([scans, finished, asked.length >= 12]).toEqual([[], [], true]);
    // The cells of one runner elsewhere are found among however many of others.
    const standings = plans.filter(({ text }) => text.includes("rowid AS row"));
    expect(standings.map(({ plan }) => /cells_\w+/.exec(plan.join())?.[0])).toEqual([
      "cells_state",
      "cells_elsewhere",
    ]);
  });

  it("hands out the cells of a state a page at a time", () => {
    insert();
    insert({ id: OTHER, branch: "lazarus/4f1c9999" });
    const [first] = rig.registry.standing({ state: "proposed", runner: "local" }, 0, 1);
    expect(first).toMatchObject({
      id: ID,
      state: "proposed",
      directoryTrouble: null,
      sealedAt: null,
      closing: null,
    });
    expect(
      rig.registry.standing({ state: "proposed", runner: "local" }, first?.row ?? 0, 5).map((one) => one.id),
    ).toEqual([OTHER]);
    expect(rig.registry.standing({ state: "idle", runner: "local" }, 0, 5)).toEqual([]);
  });

  it("refuses a row that was tampered with", () => {
    insert();
    rig.db.sql.prepare("UPDATE cells SET harvest = '{\"changed\":1}'").run();
    expect(() => rig.cell()).toThrow();
  });
});
