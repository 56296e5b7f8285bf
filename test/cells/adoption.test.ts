import { afterEach, beforeEach, expect, it } from "vitest";
import { adopt, watchedBy, watchStarted } from "../../src/cells/adoption.ts";
import { createUids } from "../../src/cells/registry/uids.ts";
import type { RunnerPort, Watched } from "../../src/protocol/runner-port.ts";
import { type ControlRig, createControl, ID, newCell, setupStarted } from "../fakes/control-rig.ts";
import { countSql } from "../fakes/counted-sql.ts";

const ELSEWHERE = "9ab24c11-1111-4222-8333-444455556666";
const SET_UP_ELSEWHERE = "7d0e9aa1-1111-4222-8333-444455556666";
const SET_UP = "5c1f0b7e-1111-4222-8333-444455556666";

let rig: ControlRig;
let asked: { readonly swept: string[]; readonly watched: string[] };

beforeEach(() => {
  rig = createControl({ config: { limits: { per_person: 4 } } });
  asked = { swept: [], watched: [] };
  rig.active();
  setUp(SET_UP);
  rig.active({ id: ELSEWHERE, branch: "lazarus/9ab24c11" });
  setUp(SET_UP_ELSEWHERE);
  for (const id of [ELSEWHERE, SET_UP_ELSEWHERE]) rig.registry.update(id, { runner: "other" });
});
afterEach(() => rig.remove());

function setUp(id: string): void {
  rig.create({ id, branch: `lazarus/${id.slice(0, 8)}` });
  rig.report("setup-started", setupStarted(id, 1, rig.clock.now()));
}

const started = () => ({
  registry: rig.registry,
  uids: createUids(rig.db, { range: rig.config.uids, asRoot: false, runner: "local" }),
});

const runner = (name: string) =>
  ({
    name,
    async sweep(ids: string[]) {
      asked.swept.push(...ids);
    },
    adopt({ runs, setups }: Watched) {
      asked.watched.push(...runs.map((run) => run.cellId), ...setups.map((setup) => setup.cell.id));
    },
  }) as unknown as RunnerPort;

it("a runner adopts its own cells, knows these alone, and removes what is left of others'", async () => {
  expect(await adopt(runner("local"), started())).toBe(2);
  expect(asked).toEqual({ swept: [ID, SET_UP], watched: [ID, SET_UP] });
});

it("the same holds for any other one", async () => {
  expect(await adopt(runner("other"), started())).toBe(2);
  expect(asked).toEqual({
    swept: [ELSEWHERE, SET_UP_ELSEWHERE],
    watched: [ELSEWHERE, SET_UP_ELSEWHERE],
  });
});

it("a run that has just started is watched where its cell lies, and nowhere else", () => {
  for (const cellId of [ID, ELSEWHERE]) watchStarted(runner("local"), started(), { cellId, run: 1 });
  expect(asked.watched).toEqual([ID]);
});

it("what a runner says that it watches is not read again, however much that is", () => {
  const count = countSql(rig.db);
  const known = new Set([`${ELSEWHERE}:1`, `${SET_UP_ELSEWHERE}:setup:1`]);
  const look = (of: ReadonlySet<string>) => {
    count.reset();
    const { runs, setups } = watchedBy("other", started(), { known: of });
    return {
      found: [...runs.map((one) => one.cellId), ...setups.map((one) => one.cell.id)],
      sql: count.statements,
    };
  };
  const few = look(known);
  expect(few.found).toEqual([]);
  for (let n = 0; n < 40; n++) {
    const id = `${String(n).padStart(8, "0")}-2222-4222-8333-444455556666`;
    rig.registry.insert(newCell(rig.clock.now(), { id, branch: `lazarus/${id}` }), [], "");
    const asker = { id: 2, login: "dev" };
    rig.registry.addRun({
      cellId: id,
      agent: "allegro",
      role: "executor",
      requester: asker,
      state: "admitted",
    });
    rig.registry.updateRun(id, 1, { state: "running", handle: { pid: 1 }, startedAt: 1 });
    rig.registry.update(id, { runner: "other" });
    known.add(`${id}:1`);
  }
  expect(look(known)).toEqual(few);
  known.delete(`${ELSEWHERE}:1`);
  expect(look(known).found).toEqual([ELSEWHERE]);
});
