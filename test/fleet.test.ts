import { afterEach, beforeEach, expect, it } from "vitest";
import { createUids } from "../src/cells/registry/uids.ts";
import { createFleet, type FleetDeps } from "../src/fleet.ts";
import { silentLog } from "../src/log.ts";
import type { Elsewhere } from "../src/open-elsewhere.ts";
import type { RunnerPort } from "../src/protocol/runner-port.ts";
import { settle } from "./fakes/clock.ts";
import { type ControlRig, createControl, ID, newCell } from "./fakes/control-rig.ts";
import { countSql } from "./fakes/counted-sql.ts";
import { until } from "./fakes/until.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

/** A fleet with one runner, `r1`, that is heard or not, and what it hears. */
function fleetOf(silence: () => string | null, ports = new Map<string, RunnerPort>()) {
  let changed: Parameters<Elsewhere["start"]>[0]["changed"] = () => {};
  const elsewhere = {
    ports,
    silence,
    start(on: Parameters<Elsewhere["start"]>[0]) {
      changed = on.changed;
    },
  } as unknown as Elsewhere;
  const { registry, clock, queue, db, steps, config } = rig;
  const uids = createUids(db, { range: config.uids, asRoot: false, runner: "local" });
  const stepDeps = { registry, queue, clock, config, uids, announce() {} };
  const parts: FleetDeps["parts"] = { registry, clock, queue, db, steps, uids, asRoot: false, stepDeps };
  const local = {
    name: "local",
    inventory: () => Promise.reject(new Error("no disk")),
  } as unknown as RunnerPort;
  const fleet = createFleet({ local, elsewhere, parts, log: silentLog });
  return { fleet, hears: (what: Parameters<typeof changed>[1]) => changed("r1", what) };
}

function place(id: string): void {
  rig.registry.update(id, { runner: "r1" });
}

it("cards say that their runner is away, once, and that it is back", () => {
  rig.active();
  place(ID);
  rig.registry.runners.add("r1", rig.clock.now());
  rig.registry.runners.update("r1", { heardAt: rig.clock.now() });
  let silence: string | null = "r1 has not been heard";
  const { hears } = fleetOf(() => silence);
  rig.clearJobs();
  hears("gone");
  expect(rig.cell().runnerTrouble).toMatch(/its runner r1 has not been heard since/);
  expect(rig.waiting()).toEqual(["card"]);
  rig.clearJobs();
  hears("gone");
  expect(rig.waiting()).toEqual([]);
  silence = null;
  hears("joined");
  expect([rig.cell().runnerTrouble, rig.waiting()]).toEqual([null, ["card"]]);
});

it("a sign of life reads no cell, and a look reads none whose card says how it is, however many there are", () => {
  rig.active();
  place(ID);
  rig.registry.runners.add("r1", rig.clock.now());
  const { hears } = fleetOf(() => null);
  const count = countSql(rig.db);
  const cost = (act: () => void) => {
    // What changed is read again once.
    act();
    count.reset();
    act();
    return { statements: count.statements, rows: count.rows };
  };
  const costs = () => [cost(() => hears("beat")), cost(() => hears("joined"))];
  const few = costs();
  for (let n = 0; n < 60; n++) {
    const id = `${String(n).padStart(8, "0")}-2222-4222-8333-444455556666`;
    rig.registry.insert(newCell(rig.clock.now(), { id, branch: `lazarus/${id}` }), [], "");
    place(id);
  }
  expect(costs()).toEqual(few);
});

it("asks a few runners at a time what lies there, and each but once", async () => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const portOf = (name: string) =>
    ({
      name,
      inventory: () => {
        asked.push(name);
        return new Promise((_, reject) => answers.push(() => reject(new Error("gone"))));
      },
    }) as unknown as RunnerPort;
  const names = Array.from({ length: 25 }, (_, n) => `r${n}`);
  const { fleet } = fleetOf(() => null, new Map(names.map((name) => [name, portOf(name)])));
  fleet.look();
  fleet.look();
  await settle();
  const few = asked.length;
  expect([few > 0, few < 25]).toEqual([true, true]);
  for (let done = 0; done < 25; done++) {
    await until("the next is asked", () => asked.length === Math.min(25, few + done));
    answers[done]?.();
  }
  expect(asked).toEqual(names);
  await fleet.stop();
});
