import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createUids } from "../../../src/cells/registry/uids.ts";
import { specOf } from "../../../src/cells/steps/cell-spec.ts";
import { type ControlRig, createControl, newCell } from "../../fakes/control-rig.ts";

const RANGE = { first: 700_000, last: 700_004 };
const idOf = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
const other = { id: 8, fullName: "acme/other" };

let rig: ControlRig;

beforeEach(() => {
  rig = createControl({ asRoot: true, config: { uids: "700000-700004" } });
});
afterEach(() => rig.remove());

const uids = (asRoot = true) => createUids(rig.db, { range: RANGE, asRoot, runner: "local" });
const create = (n: number, more = {}) => rig.create({ id: idOf(n), branch: `b${n}`, ...more });

describe("users of cells", () => {
  it("are one per cell, in the group of its repository, and go with every job that needs them", () => {
    create(1);
    create(2);
    create(3, { repository: other });
    expect([1, 2, 3].map((n) => uids().of(idOf(n)))).toEqual([
      { uid: 700_001, gid: 700_001, groups: [700_000] },
      { uid: 700_002, gid: 700_002, groups: [700_000] },
      { uid: 700_004, gid: 700_004, groups: [700_003] },
    ]);
    const cell = rig.cell(idOf(1));
    expect(specOf(cell, { registry: rig.registry, uids: uids() }).user?.uid).toBe(700_001);
    expect(rig.payloads("start")[0]?.cell.user?.uid).toBe(700_001);
    rig.lifecycle.destroy(cell, "dev");
    expect(rig.payloads("scrub")[0]?.user?.uid).toBe(700_001);
  });

  it("are given back once nothing of the cell is left, and given out again as late as possible", () => {
    create(1);
    create(2);
    rig.lifecycle.destroy(rig.cell(idOf(1)), "dev");
    expect(uids().of(idOf(1))).not.toBeNull();
    rig.report("scrubbed", { cellId: idOf(1) });
    expect(uids().of(idOf(1))).toBeNull();
    expect([3, 4, 5].map((n) => uids().of(create(n).id)?.uid)).toEqual([700_003, 700_004, 700_001]);
  });

  it("are given back by a cell that was never made, and by none twice", () => {
    create(1);
    rig.report("run-refused", { cellId: idOf(1), run: 1, why: "no" });
    expect(rig.payloads("scrub")[0]?.user?.uid).toBe(700_001);
    rig.report("scrubbed", { cellId: idOf(1) });
    rig.report("scrubbed", { cellId: idOf(1) });
    expect(uids().of(idOf(1))).toBeNull();
  });

  it("are never what a repository has, whose mirror stays", () => {
    create(1);
    rig.report("scrubbed", { cellId: idOf(1) });
    for (const n of [2, 3, 4, 5]) create(n);
    expect([2, 3, 4, 5].map((n) => uids().of(idOf(n))?.uid).sort()).toEqual([
      700_001, 700_002, 700_003, 700_004,
    ]);
  });

  it("run out, with what to do, and nothing half-made is left", () => {
    for (const n of [1, 2, 3]) create(n);
    expect(rig.lifecycle.shortage(7)).toBeNull();
    expect(rig.lifecycle.shortage(8)).toContain("700000-700004 are taken (uids in lazarus.yaml)");
    expect(() => create(4, { repository: other })).toThrow("no user is left for another cell");
    expect(rig.registry.cell(idOf(4))).toBeNull();
    create(4);
    expect(rig.lifecycle.shortage(7)).toContain("destroy cells that are done, or widen the range");
  });

  it("are not given to cells of another runner, nor sent there", () => {
    rig.registry.insert(newCell(0, { id: idOf(1), branch: "b1" }), [], "summoned");
    rig.registry.update(idOf(1), { runner: "other" });
    uids().give(idOf(1), 7);
    expect(rig.db.sql.prepare("SELECT count(*) FROM uids").pluck().get()).toBe(0);
    create(2);
    rig.registry.update(idOf(2), { runner: "other" });
    expect([1, 2].map((n) => uids().of(idOf(n)))).toEqual([null, null]);
    rig.lifecycle.destroy(rig.cell(idOf(2)), "dev");
    expect(rig.payloads("scrub")[0]?.user).toBeNull();
  });

  it("keep their numbers when the range is changed, and are no more where Lazarus is not root", () => {
    create(1);
    const moved = createUids(rig.db, {
      range: { first: 800_000, last: 800_009 },
      asRoot: true,
      runner: "local",
    });
    expect(moved.of(idOf(1))?.uid).toBe(700_001);
    expect(moved.shortage(7)).toBeNull();
    expect(uids(false).of(idOf(1))).toBeNull();
    expect(uids(false).shortage(99)).toBeNull();
  });
});

describe("the user of a repository's next cell", () => {
  beforeEach(() => {
    rig.remove();
    rig = createControl({ asRoot: true, config: { uids: "700000-700004", limits: { spares: 2 } } });
  });
  const end = (n: number) => rig.report("run-started", started(n));
  const started = (n: number) => ({
    ...{ cellId: idOf(n), run: 1, handle: { pid: 1 }, startedAt: 1, logPath: "/x" },
    ...{ prompt: null, secrets: [] },
  });

  it("is known before it is made, and becomes its own once nothing is at work for it any more", () => {
    create(1);
    end(1);
    const [asked] = rig.payloads("spare");
    expect(asked).toMatchObject({ cellId: idOf(1), user: { uid: 700_002, groups: [700_000] } });
    create(2);
    expect(uids().of(idOf(2))?.uid).toBe(700_003);
    rig.report("spare-made", { cellId: idOf(1) });
    create(3);
    expect(uids().of(idOf(3))?.uid).toBe(700_002);
  });

  it("waits for the tree that was asked for last", () => {
    create(1);
    create(2);
    end(1);
    end(2);
    expect(rig.payloads("spare").map(({ user }) => user?.uid)).toEqual([700_003, 700_003]);
    rig.report("spare-made", { cellId: idOf(1) });
    create(3);
    expect(uids().of(idOf(3))?.uid).toBe(700_004);
    rig.report("spare-made", { cellId: idOf(2) });
    rig.lifecycle.destroy(rig.cell(idOf(1)), "dev");
    rig.report("scrubbed", { cellId: idOf(1) });
    expect(uids().of(create(4).id)?.uid).toBe(700_003);
  });

  it("is given to a cell of another repository where no other number is left", () => {
    create(1);
    end(1);
    rig.report("spare-made", { cellId: idOf(1) });
    expect(uids().shortage(7)).toBeNull();
    create(2, { repository: other });
    expect(uids().of(idOf(2))).toEqual({ uid: 700_004, gid: 700_004, groups: [700_003] });
    expect(uids().shortage(other.id)).toBeNull();
    create(3, { repository: other });
    expect(uids().of(idOf(3))?.uid).toBe(700_002);
    expect(uids().shortage(7)).toMatch(/no user is left/);
  });

  it("is asked for no second run, no pull request's head, and no runner elsewhere", () => {
    create(1, { baseRef: "refs/pull/7/head" });
    end(1);
    expect(rig.payloads("spare")).toEqual([]);
    expect(uids(false).forSpare(idOf(1), 7)).toEqual({ user: null });
  });
});
