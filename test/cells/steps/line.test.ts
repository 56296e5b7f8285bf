import { afterEach, describe, expect, it } from "vitest";
import { admissible, blockingLimit, type Limits, showLine } from "../../../src/cells/steps/admission.ts";
import { renderCard } from "../../../src/commands/words/card.ts";
import { type ControlRig, createControl, newCell } from "../../fakes/control-rig.ts";
import { type CountedSql, countSql } from "../../fakes/counted-sql.ts";

let rig: ControlRig;
afterEach(() => rig.remove());

const WIDE: Limits = { cells: 1e6, perOwner: 0, perRepository: 1e6, perPerson: 1e6 };
let made = 0;

interface Asked {
  readonly state?: "waiting" | "running";
  readonly who?: number;
  /** `acme/app`; its id follows from it. */
  readonly in?: string;
}

function put({ state = "waiting", who = 1, in: fullName = "acme/app" }: Asked = {}): string {
  const id = `${String(++made).padStart(8, "0")}-1111-4222-8333-444455556666`;
  const requester = { id: who, login: `user${who}` };
  const repository = {
    id: [...fullName].reduce((sum, one) => sum * 31 + one.charCodeAt(0), 7) % 1e9,
    fullName,
  };
  rig.registry.insert(newCell(0, { id, requester, repository, branch: `lazarus/${id.slice(0, 8)}` }), [], "");
  rig.registry.addRun({ cellId: id, agent: "allegro", role: "executor", requester, state: "waiting" });
  if (state === "running") rig.registry.updateRun(id, 1, { state });
  return id;
}
const admitted = (limits: Limits) => admissible(rig.registry, { limits, now: 0 }).map((run) => run.cellId);
const blocked = (cellId: string, limits: Limits) =>
  blockingLimit(rig.registry, { limits, now: 0 }, { cellId, n: 1 });
const end = (cellId: string) => rig.registry.updateRun(cellId, 1, { state: "ended" });

describe("whose turn it is", () => {
  it("is whose owner has fewest running, then whose repository, then whose person, then who asked first", () => {
    rig = createControl();
    put({ state: "running", who: 1, in: "acme/app" });
    put({ state: "running", who: 2, in: "acme/web" });
    const line = [
      put({ who: 1, in: "acme/app" }),
      put({ who: 3, in: "acme/app" }),
      put({ who: 4, in: "acme/new" }),
      put({ who: 1, in: "dev/one" }),
    ];
    const [busyPerson, freePerson, newRepository, otherOwner] = line;
    const order = [];
    for (let places = 3; places <= 6; places++) {
      const [next] = admitted({ ...WIDE, cells: places });
      order.push(next);
      if (next !== undefined) rig.registry.updateRun(next, 1, { state: "admitted" });
    }
    expect(order).toEqual([otherOwner, newRepository, freePerson, busyPerson]);
  });

  it("lets nobody wait behind one who asks for much", () => {
    rig = createControl();
    const flood = Array.from({ length: 30 }, () => put({ who: 1, in: "flood/a" }));
    const late = [put({ who: 2, in: "acme/app" }), put({ who: 3, in: "dev/one" })];
    expect(admitted({ ...WIDE, cells: 4 }).sort()).toEqual([flood[0], flood[1], ...late].sort());
    expect(late.map((one) => blocked(one, { ...WIDE, cells: 0 })?.place)).toEqual([2, 3]);
    expect(blocked(flood[29] ?? "", { ...WIDE, cells: 0 })?.place).toBe(32);
  });

  it("is by person where all is one repository", () => {
    rig = createControl();
    const many = [put({ who: 1 }), put({ who: 1 }), put({ who: 1 })];
    const other = put({ who: 2 });
    expect(admitted({ ...WIDE, cells: 2 })).toEqual([many[0], other]);
  });
});

describe("a limit of owners", () => {
  const two = { ...WIDE, perOwner: 2 };
  it("holds over all repositories of one, whatever their case, and says who waits for what", () => {
    rig = createControl();
    put({ state: "running", in: "acme/app" });
    put({ state: "running", in: "Acme/web" });
    const here = put({ in: "acme/new" });
    const there = put({ in: "dev/one" });
    expect(admitted(two)).toEqual([there]);
    expect(blocked(here, two)).toEqual({ limit: "2 of 2 cells of acme run", place: 2 });
    expect(admitted({ ...two, perOwner: 0 })).toHaveLength(2);
  });

  it("stands on the card of who waits", () => {
    rig = createControl({ config: { limits: { per_owner: 1 } } });
    rig.active();
    const id = put({ who: 5 });
    expect(renderCard(rig.cell(id), rig.deps).text).toContain(
      "**allegro waits for a place**: 1st in line; 1 of 1 cells of acme run",
    );
  });
});

describe("what is counted in memory", () => {
  it("is what the rows say after a start, a move, an end and a rollback", () => {
    rig = createControl();
    const one = put({ state: "running" });
    const load = () => {
      const { all, owners } = rig.registry.places.load();
      return { all, acme: owners.get("acme") ?? 0, lost: owners.get("lost") ?? 0 };
    };
    expect(load()).toEqual({ all: 1, acme: 1, lost: 0 });
    const two = put();
    expect(load()).toEqual({ all: 1, acme: 1, lost: 0 });
    const failing = () =>
      rig.registry.transaction(() => {
        rig.registry.updateRun(two, 1, { state: "admitted" });
        end(one);
        put({ state: "running", in: "lost/a" });
        expect(load()).toEqual({ all: 2, acme: 1, lost: 1 });
        throw new Error("undone");
      });
    expect(failing).toThrow("undone");
    expect(load()).toEqual({ all: 1, acme: 1, lost: 0 });
    rig.registry.transaction(() => end(one));
    expect(load()).toEqual({ all: 0, acme: 0, lost: 0 });
    rig.db.sql.prepare("UPDATE runs SET state = 'running' WHERE cell = ?").run(two);
    rig.db.sql.prepare("UPDATE cells SET full_name = 'lost/a' WHERE id = ?").run(two);
    expect(load()).toEqual({ all: 1, acme: 0, lost: 1 });
  });

  it("is by runner, too, also of a cell that is placed elsewhere", () => {
    rig = createControl();
    const one = put({ state: "running" });
    put();
    const runners = () => Object.fromEntries(rig.registry.places.load().runners);
    expect(runners()).toEqual({ local: 1 });
    rig.registry.update(one, { runner: "r1" });
    expect(runners()).toEqual({ r1: 1 });
    end(one);
    expect(runners()).toEqual({});
  });

  it("has a savepoint that is undone leave what came before it", () => {
    rig = createControl();
    const one = put();
    rig.registry.transaction(() => {
      rig.registry.updateRun(one, 1, { state: "running" });
      expect(rig.registry.places.load().all).toBe(1);
      const undone = () =>
        rig.registry.transaction(() => {
          end(one);
          expect(rig.registry.places.load().all).toBe(0);
          throw new Error("undone");
        });
      expect(undone).toThrow("undone");
      expect(rig.registry.places.load().all).toBe(1);
    });
    expect(rig.registry.places.load().all).toBe(1);
  });
});

describe("the work that an end costs", () => {
  /** One ends, one is admitted, and all who wait are asked for their places. */
  const costOfAnEnd = (running: number): { statements: number; rows: number } => {
    rig = createControl();
    const counted: CountedSql = countSql(rig.db);
    const ids: string[] = [];
    rig.registry.transaction(() => {
      for (let n = 0; n < running; n++) ids.push(put({ state: "running", who: n, in: `owner${n % 7}/app` }));
    });
    const line = [put({ who: 1 }), put({ who: 2 })];
    const limits = { ...WIDE, cells: running };
    expect(admitted(limits)).toEqual([]);
    counted.reset();
    end(ids[3] ?? "");
    expect(admitted(limits)).toEqual([line[0]]);
    for (const one of line) blocked(one, { ...limits, cells: 0 });
    const { statements, rows } = counted;
    rig.remove();
    return { statements, rows };
  };

  it("is the same with 100 and with 3,000 running", () => {
    const few = costOfAnEnd(100);
    expect(costOfAnEnd(3_000)).toEqual(few);
    expect(few.rows).toBeLessThan(10);
    rig = createControl();
  });
});

it("has cards of those in line looked at, and of no others", () => {
  rig = createControl();
  rig.active();
  put({ state: "running", in: "dev/one" });
  const waits = put();
  rig.clearJobs();
  showLine({ registry: rig.registry, steps: rig.steps });
  expect(rig.payloads("card")).toEqual([{ cellId: waits }]);
});
