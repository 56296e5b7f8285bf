import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cardContent } from "../../src/commands/words/card.ts";
import { viewOf } from "../../src/commands/words/cell-view.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  newCell,
  nothingLeft,
  operator,
  started,
  TIP,
} from "../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const OWNER = { id: 2, login: "owner" };
const visit = (agent = "kimi") => rig.deps.inviting.agent(ID, agent, { role: "observer", by: OWNER });
const join = (agent = "kimi") => rig.deps.inviting.agent(ID, agent, { role: "executor", by: OWNER });
const begins = (run: number) => rig.report("run-started", started(ID, run, rig.clock.now()));
const ends = (run: number, code = 0) => rig.report("run-ended", { ...ended(ID, run, rig.clock.now()), code });
const leaves = (run: number, left = harvest()) => rig.report("collected", { cellId: ID, run, harvest: left });
const card = () => cardContent(rig.cell(), rig.deps).text;
const reports = () => rig.payloads("comment").filter((one) => one.marker.startsWith("report:"));
const turns = () =>
  viewOf(rig.cell(), rig.deps).turns.map((one) => `${one.agent} ${one.role} ${one.kind} ${one.state}`);

describe("a visit", () => {
  it("waits for the present turn, whose work is published meanwhile", () => {
    rig.active();
    visit();
    expect(turns()).toEqual(["allegro executor first working"]);
    expect(card()).toContain("After this kimi looks at it.");
    ends(1);
    leaves(1);
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi", role: "observer", turnKind: "guest" });
    expect(rig.run()).toMatchObject({ state: "admitted", requester: OWNER });
    expect(rig.payloads("publish")).toMatchObject([{ tip: TIP }]);
    expect(card()).toContain("**allegro is done**");
    begins(2);
    expect(card()).toContain("**kimi looks at the work** on #262, invited by owner");
    rig.report("pushed", { cellId: ID, run: 1, branch: "lazarus/4f1c0b7e", tip: TIP, divertedFrom: null });
    expect(rig.payloads("draft")).toHaveLength(1);
  });

  it("leaves the cell as it was, and posts its report once, where the work is looked at", () => {
    rig.idle();
    rig.registry.update(ID, { pullRequest: 271, pullRequestRepository: "acme/app", publishedTip: TIP });
    const before = rig.cell();
    visit();
    begins(2);
    ends(2);
    leaves(2, nothingLeft({ report: "It is wrong." }));
    leaves(2, nothingLeft({ report: "It is wrong." }));
    const { harvest: now, outcome, state } = rig.cell();
    expect([now, outcome, state]).toEqual([before.harvest, before.outcome, "idle"]);
    expect(reports()).toMatchObject([{ number: 271, marker: `report:${ID}:2` }]);
    expect(reports()[0]?.text).toContain("> It is wrong.");
    expect(card()).toContain("**allegro is done**: 2 commits");
    expect(viewOf(rig.cell(), rig.deps).exit).toBe("done");
    expect(turns()).toEqual(["allegro executor first over", "kimi observer guest over"]);
  });

  it("reports on the issue where there is no draft, and says where it left nothing", () => {
    rig.idle({}, nothingLeft());
    visit();
    begins(2);
    ends(2, 3);
    leaves(2, nothingLeft({ logTail: "no key" }));
    expect(reports()).toMatchObject([{ number: 262 }]);
    expect(reports()[0]?.text).toContain("left no report");
    expect(rig.announced.map((one) => one.kind)).not.toContain("needs-you");
    expect(rig.run().n).toBe(2);
  });

  it("that cannot be started is told of, and nothing of the cell fails for it", () => {
    rig.idle();
    visit();
    rig.report("run-refused", { cellId: ID, run: 2, why: "kimi cannot be started: no bwrap" });
    expect(reports()[0]?.text).toContain(
      "could not look at cell `4f1c0b7e`: kimi cannot be started: no bwrap",
    );
    expect(rig.cell()).toMatchObject({ state: "idle", outcome: "done", notStarted: null });
  });

  it("is given no message and no point; what waited for it goes on then", () => {
    rig.idle();
    visit();
    begins(2);
    const from = operator();
    rig.deps.telling.tell(
      {
        ...{ cellId: ID, asker: from.asker, author: { id: 3, login: "dev" }, agent: null },
        ...{ said: "use numbers", at: 0 },
      },
      { isNow: false },
    );
    expect(rig.registry.messages.waiting(ID)).toHaveLength(1);
    ends(2);
    expect(rig.run().n).toBe(2);
    leaves(2, nothingLeft({ report: "Fine." }));
    expect(rig.run()).toMatchObject({ n: 3, agent: "allegro", role: "executor", turnKind: "tell" });
    expect(rig.registry.prompts.of(rig.run()).text).not.toContain("kimi");
  });

  it("is not published for: a closing cell stops it, takes its report, and is sealed", () => {
    rig.idle();
    visit();
    begins(2);
    rig.clearJobs();
    rig.registry.update(ID, { publishedTip: TIP, pullRequest: 271 });
    const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null };
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    expect(rig.waiting()).toContain("stop");
    ends(2);
    expect(rig.payloads("collect")).toMatchObject([{ run: 2, role: "observer" }]);
    leaves(2, nothingLeft({ report: "Half of it." }));
    expect(reports()).toHaveLength(1);
    expect(rig.waiting()).toContain("seal");
  });

  it("that waits is dropped where the cell closes", () => {
    rig.active();
    visit();
    const closing = { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null };
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    expect(rig.registry.visits.waiting(ID)).toEqual([]);
  });

  it("waits for a retry, which is the same turn", () => {
    rig.active();
    visit();
    ends(1, 3);
    leaves(1, nothingLeft());
    expect(rig.run()).toMatchObject({ n: 2, agent: "allegro", isAutomatic: true, state: "waiting" });
    expect(rig.registry.visits.waiting(ID)).toHaveLength(1);
  });

  it("can be taken back before it begins", () => {
    rig.active();
    visit();
    rig.deps.inviting.endAgent(ID, "kimi", "owner");
    expect(viewOf(rig.cell(), rig.deps).members.map((one) => one.name)).toEqual(["allegro"]);
    ends(1);
    leaves(1);
    expect(rig.run().n).toBe(1);
  });

  it("of two comes one after the other", () => {
    rig.idle();
    visit("kimi");
    visit("ezra");
    begins(2);
    ends(2);
    leaves(2, nothingLeft({ report: "One." }));
    expect(rig.run()).toMatchObject({ n: 3, agent: "ezra", role: "observer" });
  });
});

describe("in a team", () => {
  const team = () => {
    rig.lifecycle.create(newCell(rig.clock.now()), [], "summoned", ["ezra"]);
    begins(1);
  };

  it("a visit comes before the next one, and decides nothing of whether that begins", () => {
    team();
    visit();
    ends(1);
    leaves(1);
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi" });
    begins(2);
    expect(rig.payloads("publish")).toEqual([]);
    ends(2, 3);
    leaves(2, nothingLeft());
    expect(rig.run()).toMatchObject({ n: 3, agent: "ezra", turnKind: "next" });
    // What ezra is told is of allegro, not of whoever looked.
    expect(rig.registry.prompts.of(rig.run()).text).toContain("What allegro left");
  });

  it("a chain that is held stays held after a visit", () => {
    team();
    visit();
    ends(1);
    leaves(1, harvest({ question: "which?" }));
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi" });
    begins(2);
    ends(2);
    leaves(2, nothingLeft({ report: "Ask again." }));
    expect(rig.run().n).toBe(2);
    expect(card()).toContain("Then ezra (held)");
  });

  it("an executor by invitation works after all others, asked for by whoever invited it", () => {
    team();
    join();
    ends(1);
    leaves(1);
    expect(rig.run()).toMatchObject({ n: 2, agent: "ezra" });
    expect(rig.payloads("publish")).toEqual([]);
    begins(2);
    ends(2);
    leaves(2);
    expect(rig.run()).toMatchObject({ n: 3, agent: "kimi", role: "executor", turnKind: "guest" });
    expect(rig.run().requester).toEqual(OWNER);
    expect(rig.payloads("publish")).toEqual([]);
  });

  it("an executor by invitation begins at once where the cell is at rest", () => {
    rig.idle();
    join();
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi", role: "executor", state: "admitted" });
    expect(rig.registry.prompts.of(rig.run()).text).toContain("What allegro left");
  });
});

describe("where what is pushed is checked", () => {
  const plan = {
    ...{ name: "test", command: "npm test", source: null, digest: "d" },
    ...{ network: "none" as const, limitMs: 60_000 },
  };
  const endOf = (code: number) => ({
    ...{ endedAt: rig.clock.now(), code, signal: null, stopped: null, isOverTime: false },
    ...{ isOutOfMemory: false, tail: "", refusedHosts: [], leftovers: [] },
  });
  beforeEach(() => {
    rig.remove();
    rig = createControl({ config: { checks: { "acme/*": { test: "npm test" } } } });
    rig.active();
    visit();
    ends(1);
    leaves(1);
    rig.report("pushed", { cellId: ID, run: 1, branch: "lazarus/4f1c0b7e", tip: TIP, divertedFrom: null });
    rig.registry.update(ID, { pullRequest: 271, pullRequestRepository: "acme/app" });
    rig.report("checks-planned", { cellId: ID, tip: TIP, checks: [plan], faults: [], trouble: null });
  });

  it("a visit waits for the checks, which are of the same turn", () => {
    expect(rig.run().n).toBe(1);
    expect(card()).toContain("After this kimi looks at it.");
    rig.report("check-ended", { cellId: ID, check: 1, end: endOf(0) });
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi", state: "admitted" });
    begins(2);
    ends(2);
    leaves(2, nothingLeft({ report: "Fine." }));
    // What was checked is not checked again.
    expect(rig.payloads("check")).toHaveLength(1);
    expect(rig.registry.checks.of(ID)).toHaveLength(1);
  });

  it("a check that fails is mended first", () => {
    rig.report("check-ended", { cellId: ID, check: 1, end: endOf(1) });
    rig.report("check-ended", { cellId: ID, check: 2, end: endOf(0) });
    expect(rig.run()).toMatchObject({ n: 2, agent: "allegro", turnKind: "fix" });
    expect(rig.registry.visits.waiting(ID)).toHaveLength(1);
  });
});
