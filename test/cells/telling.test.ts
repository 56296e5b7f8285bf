import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { turnsOf } from "../../src/cells/turns.ts";
import { type ControlRig, createControl, ended, harvest, ID, started, TIP } from "../fakes/control-rig.ts";

const DEV = { id: 3, login: "dev" };
const LEAD = { id: 5, login: "lead" };
const NEXT = "8".repeat(40);

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

let comment = 100;
/** Says something to the agent in a comment of its own. */
function tell(said: string, more: { author?: typeof DEV; agent?: string; isNow?: boolean } = {}): number {
  const { author = DEV, agent = null, isNow = false } = more;
  const asker = {
    ...({ via: "forge", source: "comment" } as const),
    ...{ repository: { id: 7, fullName: "acme/app" }, number: 262 },
    ...{ sourceId: ++comment, index: 0, person: author },
  };
  const at = rig.clock.now();
  return rig.deps.telling.tell({ cellId: ID, asker, author, agent, said, at }, { isNow });
}

const begin = (run: number) => rig.report("run-started", started(ID, run, rig.clock.now()));
const end = (run: number, more: Parameters<typeof ended>[3] = {}) =>
  rig.report("run-ended", ended(ID, run, rig.clock.now(), more));
const collect = (run: number, left: Parameters<typeof harvest>[0] = {}) =>
  rig.report("collected", { cellId: ID, run, harvest: harvest(left) });
/** As `admit` does once it has asked for the rights of all. */
const admit = (run: number) => rig.steps.start(ID, run);
const promptOf = (run: number) => rig.registry.prompts.of({ cellId: ID, n: run }).text;
const states = () => rig.registry.messages.of(ID).map(({ state, run }) => `${state} ${run}`);
const reactions = () => rig.payloads("react").map((one) => `${one.commentId} ${one.reaction}`);
const turns = () => turnsOf(rig.registry.runs(ID)).map(({ n, kind, state }) => `${n} ${kind} ${state}`);

describe("what an idle cell's agent is told", () => {
  it("is a turn at once, with these words and no brief, and is reacted to", () => {
    rig.idle();
    rig.clearJobs();
    tell("use numbers");
    expect(rig.payloads("start")).toMatchObject([{ run: 2, prompt: { kind: "words" } }]);
    expect(promptOf(2)).toBe("## What dev tells you (2026-11-21 14:02 UTC)\n\n~~~\nuse numbers\n~~~\n");
    expect(rig.payloads("start")[0]?.prompt.text).toBe(promptOf(2));
    expect(states()).toEqual(["given 2"]);
    expect(reactions()).toEqual([`${comment} rocket`]);
    begin(2);
    expect(turns()).toEqual(["1 first over", "2 tell working"]);
  });

  it.each([
    ["came to its end, is not told again", 0, "dev asks you to go on.\n"],
    [
      "failed, is told again, with how it ended",
      3,
      "Your last run was interrupted: you ended with exit code 3.\n\n## What dev said to you before you were interrupted\n\n~~~\nuse numbers\n~~~\n\ndev asks you to go on.\n",
    ],
  ])("by a run that was not looked at yet when somebody revived, and %s", (_, code, prompt) => {
    rig.idle();
    tell("use numbers");
    begin(2);
    rig.clearJobs();
    end(2, { code });
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    const begun = () => rig.waiting().filter((kind) => ["admit", "take-in", "start"].includes(kind));
    expect([rig.run().state, begun()]).toEqual(["waiting", []]);
    rig.steps.admitWaiting();
    expect([rig.run().state, begun()]).toEqual(["waiting", []]);
    collect(2, { tip: NEXT });
    expect(promptOf(3)).toBe(prompt);
    expect([rig.run().state, begun()]).toEqual(["admitted", ["admit"]]);
    admit(3);
    expect(rig.payloads("start")[0]?.prompt.text).toBe(prompt);
  });

  it("is told again where the look at the run that was given it was given up", () => {
    rig.idle();
    tell("use numbers");
    begin(2);
    end(2);
    rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
    const failed = { cellId: ID, kind: "collect", run: 2, why: "no" };
    rig.reports.stuck({ ...failed, retryAt: rig.clock.now() + 1_000 });
    expect(rig.run().state).toBe("waiting");
    rig.reports.stuck({ ...failed, retryAt: null });
    expect(rig.run().state).toBe("admitted");
    admit(3);
    expect(rig.payloads("start").at(-1)?.prompt.text).toContain("What dev said to you before");
  });

  it("is the answer where it asked", () => {
    rig.idle({}, { question: "Which parser?" });
    tell("the new one", { author: LEAD });
    expect(promptOf(2)).toBe(
      "## You asked\n\n~~~\nWhich parser?\n~~~\n\n## What lead tells you (2026-11-21 14:02 UTC)\n\n~~~\nthe new one\n~~~\n",
    );
    expect(rig.run().requester).toEqual(LEAD);
  });

  it("waits for a place like any run, and for its people to be asked about again", () => {
    rig.idle();
    const [first, second] = [tell("one"), tell("two", { author: LEAD })];
    expect(second).toBeGreaterThan(first);
    // The first has its place; the second came while it was on its way.
    expect(states()).toEqual(["given 2", "waiting null"]);
  });

  it("goes to the agent that worked last, or to the one it names", () => {
    rig.idle();
    tell("look at it", { agent: "ezra" });
    expect(rig.run()).toMatchObject({ agent: "ezra", turn: 2, turnKind: "tell" });
    expect(rig.registry.members(ID).map((one) => one.name)).toEqual(["allegro", "ezra"]);
    begin(2);
    end(2);
    collect(2, { tip: NEXT });
    tell("once more");
    expect(rig.run()).toMatchObject({ agent: "ezra", turn: 3 });
  });

  it("joins a retry that waits for its time, which `now` does not wait for", () => {
    rig.active();
    end(1, { code: 3 });
    collect(1, { changed: false, tip: null });
    expect(rig.run()).toMatchObject({ n: 2, isAutomatic: true, state: "waiting", turn: 1 });
    tell("try the other way");
    expect(rig.registry.runs(ID)).toHaveLength(2);
    expect(states()).toEqual(["waiting null"]);
    tell("now", { isNow: true });
    expect(rig.registry.run(ID, 2)?.state).toBe("withdrawn");
    expect(rig.run()).toMatchObject({ n: 3, turn: 2, turnKind: "tell", state: "admitted" });
    admit(3);
    expect(promptOf(3)).toContain("Your last run was interrupted: you ended with exit code 3.");
    expect(promptOf(3).indexOf("try the other way")).toBeLessThan(promptOf(3).indexOf("~~~\nnow\n~~~"));
    expect(states()).toEqual(["given 3", "given 3"]);
  });

  it("is in a retry's prompt once that starts", async () => {
    rig.active();
    end(1, { code: 3 });
    collect(1, { changed: false, tip: null });
    tell("try the other way");
    await rig.clock.advance(60_000);
    rig.steps.admitDue();
    admit(2);
    expect(promptOf(2)).toMatch(/^Go on where you stopped: .*\n\n## What dev tells you/s);
    expect(turns()).toEqual(["1 first working"]);
  });
});

describe("what an agent at work is told", () => {
  it("waits for the turn after this one, and nothing is published in between", () => {
    rig.active();
    rig.clearJobs();
    tell("use numbers");
    expect(rig.waiting()).toEqual(["card"]);
    end(1);
    rig.clearJobs();
    collect(1);
    expect(rig.waiting()).toEqual(["admit", "card"]);
    expect(rig.run()).toMatchObject({ n: 2, state: "admitted", turnKind: "tell" });
    admit(2);
    begin(2);
    end(2);
    rig.clearJobs();
    collect(2, { tip: NEXT });
    expect(rig.payloads("publish")).toMatchObject([{ run: 2, tip: NEXT }]);
  });

  it("goes to whom it names, one turn each, in the order of the first message", () => {
    rig.active();
    tell("for you");
    tell("for ezra", { agent: "ezra" });
    tell("for you, too");
    end(1);
    collect(1);
    admit(2);
    expect(rig.run()).toMatchObject({ n: 2, agent: "allegro" });
    expect(states()).toEqual(["given 2", "waiting null", "given 2"]);
    begin(2);
    end(2);
    collect(2, { tip: NEXT });
    admit(3);
    expect(rig.run()).toMatchObject({ n: 3, agent: "ezra" });
    expect(promptOf(3)).not.toContain("~~~\nfor you");
  });

  it("ends the run with `now`, keeps what it made, and goes on", () => {
    rig.active();
    rig.clearJobs();
    tell("stop that", { isNow: true });
    expect(rig.payloads("stop")).toMatchObject([{ run: 1, why: "stopped by dev, who has something to say" }]);
    end(1, { code: null, signal: "TERM", stopped: "stopped by dev, who has something to say" });
    collect(1, { hadUncommitted: true });
    expect(rig.registry.run(ID, 1)).toMatchObject({ exitClass: "stopped", stopCause: "told" });
    admit(2);
    expect(promptOf(2)).toMatch(/^Your last run was interrupted: a person stopped you\.\n\n## What dev/);
    expect(rig.payloads("publish")).toEqual([]);
  });

  it("is given also where the run was ended before it began", () => {
    rig.idle();
    tell("one");
    tell("two", { isNow: true });
    end(2, { began: false, code: null, stopped: "stopped by dev, who has something to say" });
    expect(rig.run()).toMatchObject({ n: 3, state: "admitted", turnKind: "tell" });
    admit(3);
    expect(promptOf(3)).toContain("## What dev said to you before you were interrupted\n\n~~~\none\n~~~");
    expect(promptOf(3)).toContain("~~~\ntwo\n~~~");
  });

  it.each([
    ["its quota is used up", { code: 1 }, { signs: signs({ quota: { words: "limit", resetsAt: null } }) }],
    ["it is not logged in", { code: 1 }, { signs: signs({ login: "Invalid API key" }) }],
    ["somebody let it rest", { code: null, signal: "TERM", stopped: "stopped by dev" }, {}],
  ])("waits where %s", (_, how, left) => {
    rig.active();
    tell("use numbers");
    if ("stopped" in how) rig.lifecycle.stop(rig.cell(), "dev");
    end(1, how);
    collect(1, { changed: false, tip: null, ...left });
    expect(states()).toEqual(["waiting null"]);
    expect(rig.registry.runs(ID).some((run) => run.turnKind === "tell")).toBe(false);
  });

  it("never gets into the brief that was approved", () => {
    rig.create();
    tell("and the tests", { isNow: true });
    admit(1);
    expect(rig.payloads("start")).toMatchObject([{ run: 1, prompt: { kind: "brief", text: "" } }]);
    begin(1);
    end(1);
    collect(1);
    admit(2);
    expect(promptOf(2)).toContain("and the tests");
  });

  it("is given once, whatever is repeated", () => {
    rig.active();
    tell("use numbers");
    end(1);
    collect(1);
    collect(1);
    admit(2);
    const first = promptOf(2);
    begin(2);
    admit(2);
    expect(promptOf(2)).toBe(first);
    expect(rig.registry.runs(ID)).toHaveLength(2);
  });
});

describe("what is taken back", () => {
  it("begins no turn", () => {
    rig.active();
    const id = tell("use numbers");
    rig.deps.telling.end(ID, [{ id, state: "retracted", why: "its comment was deleted" }]);
    end(1);
    collect(1);
    expect(rig.registry.runs(ID)).toHaveLength(1);
    expect(states()).toEqual(["retracted null"]);
    expect(rig.payloads("publish")).toMatchObject([{ tip: TIP }]);
  });

  it("takes a turn out of the line that nothing is left for, and what was made is published", () => {
    rig.active();
    const id = tell("use numbers");
    end(1);
    collect(1);
    rig.deps.telling.end(ID, [
      { id, state: "dropped", why: "dev no longer has write permission on acme/app" },
    ]);
    expect(rig.run()).toMatchObject({ n: 2, state: "withdrawn", stopped: "nothing is left to tell allegro" });
    expect(rig.payloads("publish")).toMatchObject([{ tip: TIP }]);
    expect(reactions()).toContain(`${comment} confused`);
  });

  it("leaves a turn to what others said", () => {
    rig.active();
    const id = tell("one");
    tell("two", { author: LEAD });
    end(1);
    collect(1);
    rig.deps.telling.end(ID, [{ id, state: "retracted", why: "its comment was deleted" }]);
    admit(2);
    expect(promptOf(2)).not.toContain("one");
    expect(states()).toEqual(["retracted null", "given 2"]);
  });

  it("is too late once it was given", () => {
    rig.idle();
    const id = tell("use numbers");
    rig.deps.telling.end(ID, [{ id, state: "retracted", why: "its comment was deleted" }]);
    expect(states()).toEqual(["given 2"]);
    expect(rig.run()).toMatchObject({ n: 2, state: "admitted" });
  });

  it("does not take a turn out of the line that another's words were given to", () => {
    rig.idle();
    tell("one");
    const id = tell("two", { author: LEAD });
    rig.deps.telling.end(ID, [{ id, state: "retracted", why: "its comment was deleted" }]);
    expect(states()).toEqual(["given 2", "retracted null"]);
    expect(rig.run()).toMatchObject({ n: 2, state: "admitted" });
  });
});

describe("a cell that ends", () => {
  it.each(["close", "destroy"] as const)("gives nothing more: %s", (how) => {
    rig.active();
    tell("use numbers");
    rig.clearJobs();
    const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null };
    if (how === "close") rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    else rig.lifecycle.destroy(rig.cell(), "owner");
    expect(states()).toEqual(["dropped null"]);
    expect(reactions()).toEqual([`${comment} confused`]);
    expect(() => tell("once more")).toThrow("it moved on meanwhile");
  });

  it("keeps what waits while a person's run is asked for again", () => {
    rig.active();
    tell("use numbers");
    rig.lifecycle.stop(rig.cell(), "dev");
    end(1, { code: null, signal: "TERM", stopped: "stopped by dev" });
    collect(1);
    rig.clearJobs();
    rig.lifecycle.rerun(rig.cell(), "allegro", { ...LEAD, words: "go on" });
    // dev may have lost the right since: asked about first.
    expect(rig.waiting()).toEqual(["admit", "card"]);
    admit(2);
    expect(promptOf(2)).toMatch(/## What lead says to you.*## What dev tells you/s);
    expect(turns()).toEqual(["1 first over", "2 revive working"]);
  });
});

function signs(more: object) {
  return {
    ...{ event: null, says: "", ownLimit: null, quota: null, login: null, credit: null },
    ...{ isOutOfMemory: false, isOverMemory: false, isRebooted: false },
    ...more,
  };
}
