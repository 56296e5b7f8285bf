import { afterEach, describe, expect, it } from "vitest";
import { admissible, blockingLimit, type Limits } from "../../../src/cells/steps/admission.ts";
import { type ControlRig, createControl, newCell } from "../../fakes/control-rig.ts";

let rig: ControlRig;
afterEach(() => rig.remove());

const WIDE: Limits = { cells: 100, perOwner: 0, perRepository: 100, perPerson: 100 };
let made = 0;

/** A cell with one run in a state, asked by a person, in a repository. */
function put(
  state: "waiting" | "admitted" | "running",
  who: number | null,
  repository = 7,
  waits = false,
): string {
  const id = `${String(++made).padStart(8, "0")}-1111-4222-8333-444455556666`;
  const requester = { id: who, login: who === null ? "operator root" : `user${who}` };
  const fullName = repository === 7 ? "acme/app" : "acme/web";
  rig.registry.insert(
    newCell(0, { id, requester, waitsForApproval: waits, repository: { id: repository, fullName } }),
    [],
    "",
  );
  rig.registry.addRun({ cellId: id, agent: "allegro", role: "executor", requester, state: "waiting" });
  if (state !== "waiting") rig.registry.updateRun(id, 1, { state });
  return id;
}
const admitted = (limits: Limits) => admissible(rig.registry, { limits, now: 0 }).map((run) => run.cellId);
const blocked = (id: string, limits: Limits) => {
  const run = rig.registry.lastRun(id);
  return run === null ? null : blockingLimit(rig.registry, { limits, now: 0 }, run);
};

describe("the line", () => {
  it("admits in the order in which was asked, up to each limit", () => {
    rig = createControl();
    put("running", 1);
    put("admitted", 2);
    const third = put("waiting", 3);
    const fourth = put("waiting", 4);
    expect(admitted({ ...WIDE, cells: 2 })).toEqual([]);
    expect(admitted({ ...WIDE, cells: 3 })).toEqual([third]);
    expect(admitted(WIDE)).toEqual([third, fourth]);
    expect(blocked(fourth, { ...WIDE, cells: 2 })).toEqual({ limit: "2 of 2 cells run", place: 2 });
    expect(blocked(fourth, WIDE)).toBeNull();
  });

  it("counts by repository, and one that must wait does not hold up others", () => {
    rig = createControl();
    put("running", 1, 7);
    const here = put("waiting", 2, 7);
    const there = put("waiting", 3, 8);
    expect(admitted({ ...WIDE, perRepository: 1 })).toEqual([there]);
    expect(blocked(here, { ...WIDE, perRepository: 1 })).toEqual({
      limit: "1 of 1 cells run in acme/app",
      place: 2,
    });
  });

  it("counts by person, and the operator is none", () => {
    rig = createControl();
    put("running", 1);
    put("running", null);
    const again = put("waiting", 1);
    const operator = put("waiting", null);
    expect(admitted({ ...WIDE, perPerson: 1 })).toEqual([operator]);
    expect(blocked(again, { ...WIDE, perPerson: 1 })?.limit).toBe("1 of 1 cells run for user1");
  });

  it("never admits more than fit at once", () => {
    rig = createControl();
    const ids = [put("waiting", 1), put("waiting", 1), put("waiting", 2), put("waiting", 3)];
    expect(admitted({ cells: 3, perOwner: 0, perRepository: 3, perPerson: 1 })).toEqual([
      ids[0],
      ids[2],
      ids[3],
    ]);
    expect(admitted({ cells: 2, perOwner: 0, perRepository: 3, perPerson: 1 })).toEqual([ids[0], ids[2]]);
  });

  it("passes over what waits for approval, also when places are counted", () => {
    rig = createControl();
    put("running", 1);
    const unapproved = put("waiting", 2, 7, true);
    const next = put("waiting", 3);
    expect(admitted(WIDE)).toEqual([next]);
    expect(blocked(unapproved, { ...WIDE, cells: 1 })).toBeNull();
    expect(blocked(next, { ...WIDE, cells: 1 })?.place).toBe(1);
  });

  it("says nothing of a run that is not in line", () => {
    rig = createControl();
    expect(blocked(put("running", 1), { ...WIDE, cells: 0 })).toBeNull();
  });
});
