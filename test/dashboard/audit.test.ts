import { afterEach, beforeEach, expect, it } from "vitest";
import { holdOf, setHold } from "../../src/cells/hold.ts";
import { type AuditEntry, audit } from "../../src/cells/registry/audit.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  ...{
    at: rig.clock.now(),
    who: "dev",
    whoId: 7,
    via: "comment",
    verb: "stop 4f1c0b7e",
    subject: "acme/app#1",
  },
  ...{ cell: null, why: null, result: "done", reason: null },
  ...more,
});

it("is never changed, and dropped only when its time is over", () => {
  const kept = audit(rig.db);
  kept.add(entry({ at: 1_000 }));
  kept.add(entry({ at: 2_000, who: "owner", result: "refused", reason: "no right" }));
  const { sql } = rig.db;
  expect(() => sql.exec("UPDATE audit SET who = 'nobody'")).toThrow("the audit is never changed");
  expect(() => sql.exec("DELETE FROM audit")).toThrow("the audit is kept for audit.keep");
  expect(() => sql.exec("DELETE FROM audit_horizon")).toThrow("the audit is kept");
  expect(kept.prune(2_000)).toBe(1);
  expect(kept.find({ limit: 10 }).map(({ who }) => who)).toEqual(["owner"]);
});

it("is found by who, verb, cell and result, newest first", () => {
  const kept = audit(rig.db);
  kept.add(entry({ cell: "4f1c0b7e-1111-4222-8333-444455556666" }));
  kept.add(entry({ who: "Owner", verb: "close 4f1c0b7e", result: "refused" }));
  kept.add(entry({ verb: "tell" }));
  const verbs = (search: object) => kept.find({ limit: 10, ...search }).map(({ verb }) => verb);
  expect(verbs({})).toEqual(["tell", "close 4f1c0b7e", "stop 4f1c0b7e"]);
  expect(verbs({ who: "own" })).toEqual(["close 4f1c0b7e"]);
  expect(verbs({ cell: "4f1c" })).toEqual(["stop 4f1c0b7e"]);
  expect(verbs({ result: "refused" })).toEqual(["close 4f1c0b7e"]);
  expect(verbs({ before: 2 })).toEqual(["stop 4f1c0b7e"]);
});

it("a hold lets no run start, says so, and lets them all start when it is over", () => {
  setHold(rig.registry, { who: "owner", why: "an upgrade", at: rig.clock.now() });
  const cell = rig.create();
  rig.registry.transaction(() => rig.steps.admitWaiting());
  expect(rig.run(cell.id).state).toBe("waiting");
  expect(rig.steps.blockedBy(rig.run(cell.id))).toEqual({
    limit: "no run starts: held by owner (an upgrade)",
    place: 1,
  });
  setHold(rig.registry, null);
  expect(holdOf(rig.registry)).toBe(null);
  rig.registry.transaction(() => rig.steps.admitWaiting());
  expect(rig.run(cell.id).state).toBe("admitted");
});
