import { afterEach, beforeEach, expect, it } from "vitest";
import { BASE, type ControlRig, createControl, ended, harvest, TIP } from "../fakes/control-rig.ts";

const FORK = { fullName: "dev/app", ref: "refs/heads/main", commit: BASE };

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

it("has what a fork brought measured from where the target stands, and nothing of it pushed unasked", () => {
  const { id } = rig.active({ fork: FORK, isPullRequest: true });
  rig.report("run-ended", ended(id, 1, rig.clock.now()));
  expect(rig.payloads("collect")).toMatchObject([{ cellId: id, fork: FORK }]);
  const held = harvest({ protectedPaths: ["1 commit of dev/app come with it"] });
  rig.report("collected", { cellId: id, run: 1, harvest: held });
  expect(rig.waiting()).not.toContain("publish");
  rig.lifecycle.release(rig.cell(), "owner");
  expect(rig.payloads("publish")).toMatchObject([{ cellId: id, tip: TIP }]);
});

it("has nothing measured so where no fork brought anything", () => {
  const { id } = rig.active();
  rig.report("run-ended", ended(id, 1, rig.clock.now()));
  expect(rig.payloads("collect")).toMatchObject([{ cellId: id, fork: null }]);
});
