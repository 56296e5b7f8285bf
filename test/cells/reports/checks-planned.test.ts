import { afterEach, beforeEach, expect, it } from "vitest";
import type { PlannedCheck } from "../../../src/protocol/checks.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  newCell,
  started,
  TIP,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl({ config: { checks: { "acme/*": { from: "branch" } } } });
});
afterEach(() => rig.remove());

const one = (name: string): PlannedCheck => ({
  ...{ name, command: `run ${name}`, source: null, digest: name },
  ...{ network: "none", limitMs: 1_000 },
});

/** A cell that was proposed with these checks, up to its published tip. */
function published(checks: string[] | null): void {
  const author = { id: 5, login: "reader" };
  const cell = newCell(rig.clock.now(), { waitsForApproval: true, askedInComment: null, asked: null });
  const wish = { ttlMs: 3_600_000, checks, untouched: [] };
  const filed = { repository: cell.repository, number: cell.number, author, cellId: ID };
  rig.deps.proposing.take(filed, { kind: "planned", readSha256: "a", cell, agents: ["allegro"], wish });
  rig.deps.proposing.approve(ID, { id: 1, login: "owner" }, { sha256: cell.briefSha256, why: "approved" });
  rig.report("run-started", started(ID, 1, rig.clock.now()));
  rig.report("run-ended", ended(ID, 1, rig.clock.now()));
  rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
  rig.report("pushed", { cellId: ID, run: 1, branch: "lazarus/4f1c0b7e", tip: TIP, divertedFrom: null });
}
const plan = (names: string[], faults: { name: string; why: string }[] = []) =>
  rig.report("checks-planned", { cellId: ID, tip: TIP, checks: names.map(one), faults, trouble: null });

it("runs what a proposal names, after the setup, and says of an unknown name that it cannot be run", () => {
  published(["test", "e2e"]);
  plan(["setup", "lint", "test"], [{ name: "odd", why: "is no text" }]);
  expect(rig.cell().checked?.plan.map(({ name }) => name)).toEqual(["setup", "test"]);
  expect(rig.cell().checked?.faults).toEqual([{ name: "e2e", why: "there is no check of that name" }]);
});

it("runs all where a proposal names none", () => {
  published(null);
  plan(["lint", "test"], [{ name: "odd", why: "is no text" }]);
  expect(rig.cell().checked?.plan.map(({ name }) => name)).toEqual(["lint", "test"]);
  expect(rig.cell().checked?.faults).toHaveLength(1);
});
