import { afterEach, describe, expect, it } from "vitest";
import { turnsOf } from "../../src/cells/turns.ts";
import { cardContent } from "../../src/commands/words/card.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  newCell,
  started,
} from "../fakes/control-rig.ts";
import { expectGolden } from "../fakes/golden.ts";

const DEV = { id: 3, login: "dev" };
const MORE = { costUsd: 0, tokens: 0 };

let rig: ControlRig;
afterEach(() => rig.remove());

function control(limits: object, agent: object = {}, next: readonly string[] = []): void {
  const agents = Object.fromEntries(
    ["allegro", "ezra"].map((name) => [name, { command: ["true"], backend: "process", limits: agent }]),
  );
  rig = createControl({ config: { limits, agents } });
  const members = ["allegro", ...next].map((name) => ({ name, kind: "bot", role: "executor" }) as const);
  rig.lifecycle.create(newCell(rig.clock.now()), members, "summoned", next);
}

const begin = (run: number) => rig.report("run-started", started(ID, run, rig.clock.now()));
const use = (run: number, costUsd: number | null, tokens: number | null = null) =>
  rig.report("used", { cellId: ID, run, usage: { costUsd, tokens } });
const end = (run: number, more: Parameters<typeof ended>[3] = {}) => {
  rig.report("run-ended", ended(ID, run, rig.clock.now(), more));
};
const collect = (run: number, usage?: { costUsd: number | null; tokens: number | null }) =>
  rig.report("collected", { cellId: ID, run, harvest: harvest(), ...(usage === undefined ? {} : { usage }) });
const stops = () => rig.payloads("stop").map((one) => one.why);
const turns = () => turnsOf(rig.registry.runs(ID)).map(({ n, kind, state }) => `${n} ${kind} ${state}`);
const extend = (more: Partial<typeof MORE>) =>
  rig.deps.goingOn.extend(rig.cell(), { expiresAt: rig.cell().expiresAt, ...MORE, ...more }, "owner");
const card = () => cardContent(rig.cell(), rig.deps).text;
const announced = () => rig.announced.map((one) => one.kind);

let comment = 700;
function tell(said: string): void {
  const asker = {
    ...({ via: "forge", source: "comment" } as const),
    ...{ repository: { id: 7, fullName: "acme/app" }, number: 262 },
    ...{ sourceId: ++comment, index: 0, person: DEV },
  };
  const at = rig.clock.now();
  rig.deps.telling.tell({ cellId: ID, asker, author: DEV, agent: null, said, at }, { isNow: false });
}

describe("a run that is over a budget", () => {
  it("is stopped once, and says which", () => {
    control({ cost: 5 });
    begin(1);
    use(1, 1.8);
    expect(stops()).toEqual([]);
    expect(card()).toContain(" · 1.80 of 5 USD");
    use(1, 5);
    use(1, 5.02);
    expect(stops()).toEqual(["over its budget of 5 USD for the cell"]);
    end(1, { code: null, signal: "TERM", stopped: "over its budget of 5 USD for the cell" });
    collect(1, { costUsd: 5.02, tokens: null });
    expect(rig.run()).toMatchObject({ exitClass: "over-limit", costUsd: 5.02 });
    expect(announced()).toEqual(["rests"]);
    // Its work is published all the same.
    expect(rig.payloads("publish")).toHaveLength(1);
    expectGolden("card-budget-used-up", card());
  });

  it("is stopped for its own budget, which another run has again", () => {
    control({}, { tokens: 1_000, cost: 2 });
    begin(1);
    use(1, 1, 1_000);
    expect(stops()).toEqual(["over its budget of 1,000 tokens for a run"]);
    end(1, { stopped: "over its budget of 1,000 tokens for a run" });
    collect(1);
    expect(announced()).toEqual(["needs-you"]);
    expect(card()).toContain("1.00 of 2 USD in this run · 1,000 of 1,000 tokens in this run");
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    expect(rig.payloads("start").at(-1)).toMatchObject({ run: 2, budgetUsd: 2 });
  });

  it("is given no message by itself after it was stopped for its own budget", () => {
    control({}, { cost: 2 });
    begin(1);
    tell("and then the tests");
    use(1, 2.5);
    end(1, { stopped: "over its budget of 2 USD for a run" });
    collect(1);
    expect(turns()).toEqual(["1 first over"]);
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    rig.steps.start(ID, 2);
    expect(rig.registry.messages.waiting(ID)).toEqual([]);
  });

  it("asks its question all the same", () => {
    control({ cost: 5 });
    begin(1);
    end(1);
    const left = harvest({ question: "Which parser?" });
    rig.report("collected", { cellId: ID, run: 1, harvest: left, usage: { costUsd: 6, tokens: null } });
    expect(announced()).toEqual(["needs-you"]);
  });

  it("is not stopped for what an earlier report said, or once it has ended", () => {
    control({ cost: 5 });
    begin(1);
    end(1);
    use(1, 9);
    expect(stops()).toEqual([]);
    expect(rig.run().costUsd).toBeNull();
  });

  it("keeps what was told once: a log that was cut tells less", () => {
    control({ cost: 5 });
    begin(1);
    use(1, 3, 500);
    use(1, 1, 900);
    expect(rig.run()).toMatchObject({ costUsd: 3, tokens: 900 });
    use(1, null, null);
    expect(rig.run()).toMatchObject({ costUsd: 3, tokens: 900 });
  });
});

describe("a cell whose budget is used up", () => {
  function spend(): void {
    control({ cost: 5, revives: 2 }, {}, ["ezra"]);
    begin(1);
    end(1);
    collect(1, { costUsd: 6, tokens: 10 });
  }

  it("begins no next turn, no told one and no retry, and says so once", () => {
    spend();
    expect(turns()).toEqual(["1 first over"]);
    tell("go on");
    tell("please");
    expect(turns()).toEqual(["1 first over"]);
    expect(announced()).toContain("rests");
    expect(rig.payloads("comment").filter((one) => one.text.includes("needs you"))).toHaveLength(1);
    expect(rig.registry.messages.waiting(ID)).toHaveLength(2);
  });

  it("goes on with what waits when a director gives it more, for the budget that it has", () => {
    spend();
    tell("go on");
    extend({ costUsd: 0.5 });
    expect(turns()).toEqual(["1 first over"]);
    extend({ costUsd: 2 });
    expect(turns()).toEqual(["1 first over", "2 tell working"]);
    expect(rig.registry.history(ID).at(-1)?.why).toBe("given 2 USD more");
    rig.steps.start(ID, 2);
    expect(rig.payloads("start").at(-1)).toMatchObject({ budgetUsd: 1.5 });
  });

  it("is not tried again after a crash", () => {
    control({ cost: 5, revives: 2 });
    begin(1);
    end(1, { code: 3 });
    collect(1, { costUsd: 5, tokens: null });
    expect(rig.registry.runs(ID)).toHaveLength(1);
    expect(announced()).toEqual(["rests"]);
  });

  it("raises the budget of the run at work as well", () => {
    control({}, { cost: 2 });
    begin(1);
    extend({ costUsd: 3 });
    use(1, 4.9);
    expect(stops()).toEqual([]);
    use(1, 5);
    expect(stops()).toEqual(["over its budget of 5 USD for a run"]);
  });
});

describe("the turns of a cell", () => {
  function turn(n: number): void {
    rig.steps.start(ID, n);
    begin(n);
    end(n);
    collect(n);
  }

  it("are counted until a director lets as many more begin; what was told meanwhile goes along", () => {
    control({ turns: 2 });
    turn(1);
    tell("once more");
    turn(2);
    tell("and again");
    expect(turns()).toEqual(["1 first over", "2 tell over"]);
    expect(announced()).toEqual(["rests"]);
    expectGolden("card-turns-used-up", card());
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    expect(rig.cell().turnsFrom).toBe(2);
    rig.steps.start(ID, 3);
    expect(rig.registry.messages.waiting(ID)).toEqual([]);
    begin(3);
    end(3);
    collect(3);
    tell("a fourth");
    expect(turns()).toHaveLength(4);
  });

  it("have no end where limits.turns is 0, and retries are no turns", () => {
    control({ turns: 0 });
    for (let n = 1; n <= 25; n++) {
      turn(n);
      tell(`word ${n}`);
    }
    expect(turns()).toHaveLength(26);
  });
});
