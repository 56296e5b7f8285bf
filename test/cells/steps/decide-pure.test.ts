import { afterEach, expect, it } from "vitest";
import { decide } from "../../../src/cells/steps/decide.ts";
import { type ControlRig, createControl, ended, harvest, ID, started } from "../../fakes/control-rig.ts";
import { countSql } from "../../fakes/counted-sql.ts";

let rig: ControlRig;
afterEach(() => rig.remove());

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

it("is decided of what is given alone: nothing is asked, nothing changed, and twice is the same", () => {
  rig = createControl();
  rig.active();
  const counted = countSql(rig.db);
  const seen: string[] = [];
  const look = () => {
    const [cell, last] = [frozen(rig.cell()), frozen(rig.registry.lastUnwithdrawnRun(ID))];
    counted.reset();
    const first = decide(cell, last);
    expect(decide(cell, last)).toEqual(first);
    expect(counted.statements).toBe(0);
    seen.push(first.kind);
  };
  for (let n = 1; n <= 20; n++) {
    if (n > 1) {
      rig.lifecycle.rerun(rig.cell(), "allegro", { id: null, login: "operator" });
      rig.report("run-started", started(ID, n, rig.clock.now()));
    }
    look();
    rig.report("run-ended", ended(ID, n, rig.clock.now()));
    look();
    rig.report("collected", { cellId: ID, run: n, harvest: harvest({}) });
    look();
  }
  expect(rig.registry.runs(ID)).toHaveLength(20);
  expect(new Set(seen)).toEqual(new Set(["nothing", "collect", "push"]));
});
