import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NewItem } from "../../src/cells/registry/items.ts";
import { turnsOf } from "../../src/cells/turns.ts";
import type { PointAnswer } from "../../src/protocol/points.ts";
import { type ControlRig, createControl, ended, harvest, ID, started, TIP } from "../fakes/control-rig.ts";

const DEV = { id: 3, login: "dev" };
const LEAD = { id: 5, login: "lead" };
const NEXT = "8".repeat(40);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const GIVEN_UP = { who: "dev", why: "stopped by dev", outcome: "discarded" } as const;

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

let comment = 100;
function point(said: string, more: Partial<NewItem> = {}): NewItem {
  return {
    ...{ kind: "body", pull: 7, reviewId: ++comment, commentId: comment, part: 0, author: LEAD },
    ...{ path: "", line: 0, oldLine: 0, commit: TIP, hunk: "", said, at: rig.clock.now() },
    ...more,
  };
}
const take = (...items: NewItem[]) => rig.deps.reviewing.take(ID, items);

/** A cell whose work is published as draft #7. */
function drafted(): void {
  rig.idle();
  rig.report("pushed", { cellId: ID, run: 1, branch: "lazarus/4f1c0b7e", tip: TIP, divertedFrom: null });
  rig.reports.drafted(ID, 7, "acme/app");
  rig.clearJobs();
}
const begin = (run: number) => rig.report("run-started", started(ID, run, rig.clock.now()));
const end = (run: number, more: Parameters<typeof ended>[3] = {}) =>
  rig.report("run-ended", ended(ID, run, rig.clock.now(), more));
const collect = (run: number, answers: PointAnswer[] = [], left: Parameters<typeof harvest>[0] = {}) =>
  rig.report("collected", { cellId: ID, run, harvest: harvest(left), answers });
const answer = (n: number, more: Partial<PointAnswer> = {}): PointAnswer => ({
  ...{ n, verdict: "done", words: "", commit: NEXT, touches: null, line: null },
  ...more,
});
/** Its window is over, and `admit` has asked about everything again. */
function admit(run: number): void {
  rig.clock.jump(5 * MINUTE);
  rig.steps.admitDue();
  rig.steps.start(ID, run);
}
const promptOf = (run: number) => rig.registry.prompts.of({ cellId: ID, n: run }).text;
const turns = () => turnsOf(rig.registry.runs(ID)).map(({ n, kind, state }) => `${n} ${kind} ${state}`);
const items = () => rig.registry.items.of(ID).map(({ n, state, turn }) => `${n} ${state} ${turn}`);
const inSeconds = () => ((rig.run().notBefore ?? 0) - rig.clock.now()) / SECOND;

describe("what a review asks of an idle cell", () => {
  it("begins a turn a minute later, with every point by its number", () => {
    drafted();
    take(point("one"), point("five", { kind: "inline", path: "a.ts", line: 5, hunk: "@@ -1 +1 @@\n+5" }));
    expect(rig.run()).toMatchObject({ n: 2, state: "waiting", turnKind: "review", requester: LEAD });
    expect(inSeconds()).toBe(60);
    expect(rig.payloads("take-in")).toEqual([]);
    rig.clock.jump(MINUTE);
    rig.steps.admitDue();
    // Not at once: rights, and what was taken back, are asked about first.
    expect(rig.payloads("admit")).toEqual([{ cellId: ID, run: 2 }]);
    rig.steps.start(ID, 2);
    expect(promptOf(2)).toMatch(
      /^## Points of the review by lead at 0fedcba987\n\n### 1\. the review as a whole\n\n~~~\none\n~~~\n\n### 2\. `a\.ts`, line 5\n\n~~~\n@@ -1 \+1 @@\n\+5\n~~~\n\n~~~\nfive\n~~~\n\n## How to answer\n/,
    );
    expect(items()).toEqual(["1 given 2", "2 given 2"]);
  });

  it("begins no later where the clock was set back since it was read", () => {
    drafted();
    take(point("one", { at: rig.clock.now() + 16 * 60 * MINUTE }));
    expect(inSeconds()).toBe(60);
    take(point("two"));
    expect(inSeconds()).toBe(60);
  });

  it("waits for other reviews, though no longer than five minutes, and is one turn with them", () => {
    drafted();
    take(point("one"));
    for (let minute = 0; minute < 4; minute++) {
      rig.clock.jump(50 * SECOND);
      take(point(`more ${minute}`, { author: DEV }));
      expect(inSeconds()).toBe(60);
    }
    rig.clock.jump(50 * SECOND);
    take(point("last"));
    expect(inSeconds()).toBe(50);
    expect(turns()).toEqual(["1 first over", "2 review waiting"]);
    admit(2);
    expect(items()).toHaveLength(6);
    expect(promptOf(2)).toContain("## Points of the review by dev at");
  });

  it("is one item however often it is read", () => {
    drafted();
    const one = point("one");
    take(one);
    take(one);
    expect(items()).toEqual(["1 open null"]);
  });

  it("does not wait for its minute where somebody revives the cell, or has something to say at once", () => {
    drafted();
    take(point("one"));
    rig.lifecycle.rerun(rig.cell(), "allegro", { ...DEV, words: "go" });
    expect(turns()).toEqual(["1 first over", "2 review withdrawn", "3 revive working"]);
    rig.steps.start(ID, 3);
    expect(promptOf(3)).toMatch(/## What dev says to you\n\n~~~\ngo\n~~~\n\n## Points of the review by lead/);
    expect(items()).toEqual(["1 given 3"]);
  });

  it("is begun by no remark, which goes along with the next turn and needs no answer", () => {
    drafted();
    take(point("nice", { kind: "remark" }));
    expect(turns()).toEqual(["1 first over"]);
    take(point("one"));
    admit(2);
    expect(promptOf(2)).toContain("### 1. the review as a whole (a remark: nobody waits for an answer)");
    begin(2);
    end(2);
    collect(2, [answer(2)], { tip: NEXT });
    expect(items()).toEqual(["1 answered 2", "2 answered 2"]);
  });
});

describe("what a review asks while the agent works", () => {
  it("waits for the end of its run", () => {
    rig.active();
    take(point("one"));
    expect(turns()).toEqual(["1 first working"]);
    end(1);
    collect(1);
    expect(turns()).toEqual(["1 first over", "2 review waiting"]);
  });

  it("goes along with what people tell it", () => {
    drafted();
    const asker = { via: "cli", request: "r1", operator: "root" } as const;
    const at = rig.clock.now();
    rig.deps.telling.tell({ cellId: ID, asker, author: DEV, agent: null, said: "hi", at }, { isNow: false });
    take(point("one"));
    begin(2);
    end(2);
    collect(2, [], { tip: NEXT });
    expect(turns()).toEqual(["1 first over", "2 tell over", "3 review waiting"]);
  });

  it("is not kept from a cell that closes, nor begun in it", () => {
    drafted();
    const closing = { by: "lead", discard: false, thenDestroy: false, outcome: null, person: null };
    rig.lifecycle.close(rig.cell(), closing, "closed");
    take(point("one"));
    expect(items()).toEqual([]);
  });
});

describe("an answer", () => {
  function asked(...items: NewItem[]): void {
    drafted();
    take(...items);
    admit(2);
    begin(2);
    end(2);
  }

  it("is posted once the work that it is about is on the forge", () => {
    asked(point("one"), point("two"));
    rig.clearJobs();
    collect(2, [answer(1), answer(2, { verdict: null, commit: null })], { tip: NEXT });
    expect(items()).toEqual(["1 answered 2", "2 open 2"]);
    expect(rig.payloads("answers")).toEqual([]);
    rig.report("pushed", { cellId: ID, run: 2, branch: "lazarus/4f1c0b7e", tip: NEXT, divertedFrom: null });
    expect(rig.payloads("answers")).toEqual([{ cellId: ID, turn: 2 }]);
    // What had none stays open, and begins nothing by itself.
    expect(turns()).toEqual(["1 first over", "2 review over"]);
  });

  it("is posted where nothing had to be changed", () => {
    asked(point("one"));
    collect(2, [answer(1, { verdict: "declined", commit: null })]);
    expect(rig.payloads("answers")).toEqual([{ cellId: ID, turn: 2 }]);
  });

  it("is not posted to a draft that was merged meanwhile", () => {
    asked(point("one"));
    collect(2, [answer(1)], { tip: NEXT });
    const merged = {
      by: "lead",
      discard: false,
      thenDestroy: false,
      outcome: "merged",
      person: null,
    } as const;
    rig.lifecycle.close(rig.cell(), merged, "merged");
    rig.report("pushed", { cellId: ID, run: 2, branch: "lazarus/4f1c0b7e", tip: NEXT, divertedFrom: null });
    expect(rig.payloads("answers")).toEqual([]);
    expect(rig.payloads("review")).toEqual([{ cellId: ID, isOver: true }]);
  });

  it("is waited for while the turn is tried again, and what was said of it before is kept", () => {
    asked(point("one"), point("two"));
    rig.registry.updateRun(ID, 2, { code: 1 });
    collect(2, [answer(1)], { tip: NEXT });
    expect(rig.run()).toMatchObject({ n: 3, turn: 2, isAutomatic: true });
    expect(items()).toEqual(["1 given 2", "2 given 2"]);
    admit(3);
    expect(promptOf(3)).toMatch(/you were interrupted[\s\S]*### 1\. the review as a whole[\s\S]*### 2\./);
    begin(3);
    end(3);
    collect(3, [answer(1, { verdict: null, commit: null }), answer(2)], { tip: NEXT });
    expect(items()).toEqual(["1 answered 2", "2 answered 2"]);
    expect(rig.registry.items.of(ID)[0]).toMatchObject({ verdict: "done", foundCommit: NEXT });
  });

  it("is asked for again where the retry was taken out of the line", () => {
    asked(point("one"));
    rig.registry.updateRun(ID, 2, { code: 1 });
    collect(2, [], { tip: NEXT });
    expect(rig.lifecycle.stop(rig.cell(), "dev")).toBe(true);
    expect(items()).toEqual(["1 open 2"]);
    take(point("two"));
    admit(4);
    expect(items()).toEqual(["1 given 3", "2 given 3"]);
  });

  describe("where its run never began", () => {
    const unbegun: [string, () => void][] = [
      ["could not be started", () => rig.report("run-refused", { cellId: ID, run: 2, why: "no such agent" })],
      [
        "was ended before it began",
        () =>
          rig.report("run-ended", {
            ...ended(ID, 2, rig.clock.now(), { stopped: "stopped by dev" }),
            began: false,
          }),
      ],
      ["was stopped before it had its place", () => rig.lifecycle.withdraw(rig.cell(), rig.run(), GIVEN_UP)],
    ];
    it.each(unbegun)("is open again, and a remark with it: it %s", (_how, endIt) => {
      drafted();
      take(point("one"), point("nice", { kind: "remark" }));
      admit(2);
      rig.clearJobs();
      endIt();
      expect(items()).toEqual(["1 open 2", "2 open 2"]);
      expect(rig.payloads("answers")).toEqual([]);
      rig.lifecycle.rerun(rig.cell(), "allegro", DEV);
      rig.steps.start(ID, 3);
      expect(promptOf(3)).toMatch(
        /### 1\. the review as a whole[\s\S]*### 2\. the review as a whole \(a remark/,
      );
    });

    it("is answered with what was said before, where only its retry never began", () => {
      asked(point("one"), point("two"));
      rig.registry.updateRun(ID, 2, { code: 1 });
      collect(2, [answer(1)], {});
      admit(3);
      rig.report("run-refused", { cellId: ID, run: 3, why: "no such agent" });
      expect(items()).toEqual(["1 answered 2", "2 open 2"]);
      expect(rig.payloads("answers")).toEqual([{ cellId: ID, turn: 2 }]);
    });
  });

  it("is looked for by the runner in what was made since the forge had it", () => {
    drafted();
    take(point("one", { kind: "inline", path: "a.ts", line: 5 }));
    admit(2);
    rig.report("taken-in", { cellId: ID, run: 2, people: null });
    expect(rig.payloads("start").at(-1)).toMatchObject({ run: 2, turn: 2, isAsked: true });
    begin(2);
    end(2);
    const points = [{ n: 1, path: "a.ts", line: 5, commit: TIP }];
    expect(rig.payloads("collect").at(-1)).toMatchObject({
      run: 2,
      asked: { turn: 2, points, since: [TIP] },
    });
  });
});

describe("what is taken back before it is given", () => {
  it("is not given, and its turn is withdrawn where nothing is left", () => {
    drafted();
    take(point("one"), point("two"));
    rig.deps.reviewing.change(ID, [
      { n: 1, why: "its comment was deleted" },
      { n: 2, said: "two, please" },
    ]);
    expect(items()).toEqual(["1 withdrawn null", "2 open null"]);
    expect(rig.run().state).toBe("waiting");
    rig.deps.reviewing.change(ID, [{ n: 2, why: "the review was taken back" }]);
    expect(turns()).toEqual(["1 first over", "2 review withdrawn"]);
    expect(rig.cell().state).toBe("idle");
  });
});

describe("rounds of one reviewer", () => {
  function round(run: number, author = LEAD): void {
    take(point(`round ${run}`, { author }));
    admit(run);
    begin(run);
    end(run);
    collect(run, [], { tip: run.toString(16).repeat(40).slice(0, 40) });
  }

  it("end after five, and a person is asked, whoever else says something", () => {
    drafted();
    for (let run = 2; run < 7; run++) round(run);
    take(point("and more"));
    expect(turns().at(-1)).toBe("6 review over");
    expect(rig.cell().breaker).toBe("stopped after 5 rounds of reviews by lead");
    expect(rig.announced.filter((one) => one.kind === "needs-you")).toHaveLength(1);
    take(point("still more"));
    expect(rig.announced.filter((one) => one.kind === "needs-you")).toHaveLength(1);
    rig.lifecycle.rerun(rig.cell(), "allegro", { ...DEV, words: null });
    expect(rig.cell().breaker).toBeNull();
    expect(turns().at(-1)).toBe("7 revive working");
  });

  it("do not end where several people ask", () => {
    drafted();
    for (let run = 2; run < 8; run++) round(run, run % 2 === 0 ? LEAD : DEV);
    expect(rig.cell().breaker).toBeNull();
  });
});
