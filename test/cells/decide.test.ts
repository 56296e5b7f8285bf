import { describe, expect, it } from "vitest";
import { type Cell, type Run, STATES, type State } from "../../src/cells/cell.ts";
import { decide, heldFor, outcomeOf } from "../../src/cells/decide.ts";
import { harvest, NOTHING_YET, newCell, nothingLeft, TIP } from "../fakes/control-rig.ts";

function cell(state: State, more: Partial<Cell> = {}): Cell {
  return {
    ...newCell(0),
    state,
    ...NOTHING_YET,
    ...more,
  };
}

function run(state: Run["state"], more: Partial<Run> = {}): Run {
  return {
    cellId: "x",
    n: 1,
    agent: "allegro",
    role: "executor",
    state,
    requester: { id: 3, login: "dev" },
    createdAt: 0,
    startedAt: state === "ended" ? 1 : null,
    endedAt: state === "ended" ? 2 : null,
    code: null,
    signal: null,
    stopped: null,
    handle: null,
    logPath: null,
    collectedAt: null,
    leftovers: [],
    refusedHosts: [],
    notBefore: null,
    isAutomatic: false,
    exitClass: null,
    exitWhy: null,
    resetsAt: null,
    ...more,
  };
}

const closing = { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null };
const collected = run("ended", { collectedAt: 3 });

describe("what a cell needs next", () => {
  it.each(["proposed", "archived", "destroyed"] as const)("is nothing while it is %s", (state) => {
    expect(decide(cell(state, { harvest: harvest() }), run("ended")).kind).toBe("nothing");
  });

  const table: [string, Cell, Run | null, string][] = [
    ["an active one", cell("active"), run("running"), "nothing"],
    ["an idle one without a run", cell("idle"), null, "nothing"],
    ["one whose run has ended", cell("idle"), run("ended"), "collect"],
    ["one whose run never began", cell("idle"), run("ended", { startedAt: null }), "nothing"],
    ["one whose run changed nothing", cell("idle", { harvest: nothingLeft() }), collected, "nothing"],
    ["one with a new tip", cell("idle", { harvest: harvest() }), collected, "push"],
    ["one whose tip is pushed", cell("idle", { harvest: harvest(), publishedTip: TIP }), collected, "draft"],
    [
      "one that delivers to a branch",
      cell("idle", { harvest: harvest(), publishedTip: TIP, delivery: "branch" }),
      collected,
      "nothing",
    ],
    [
      "one that was to go to a branch which people moved",
      cell("idle", {
        harvest: harvest(),
        publishedTip: TIP,
        delivery: "branch",
        branch: "feature",
        publishedBranch: "feature-2",
      }),
      collected,
      "draft",
    ],
    [
      "one whose draft is open",
      cell("idle", { harvest: harvest(), publishedTip: TIP, pullRequest: 271 }),
      collected,
      "nothing",
    ],
    [
      "one whose work is held back",
      cell("idle", { harvest: harvest({ heldBack: ["a workflow"] }) }),
      collected,
      "nothing",
    ],
    [
      "one whose push was refused",
      cell("idle", { harvest: harvest(), pushRefused: "protected" }),
      collected,
      "nothing",
    ],
    ["a closing one at work", cell("closing", { closing }), run("running"), "stop"],
    ["a closing one on its way to work", cell("closing", { closing }), run("admitted"), "stop"],
    ["a closing one, not collected", cell("closing", { closing }), run("ended"), "collect"],
    ["a closing one, not pushed", cell("closing", { closing, harvest: harvest() }), collected, "push"],
    [
      "a closing one without its draft",
      cell("closing", { closing, harvest: harvest(), publishedTip: TIP }),
      collected,
      "draft",
    ],
    [
      "a closing one that is published",
      cell("closing", { closing, harvest: harvest(), publishedTip: TIP, pullRequest: 271 }),
      collected,
      "seal",
    ],
    ["a closing one with nothing to publish", cell("closing", { closing }), null, "seal"],
    [
      "a closing one whose work is held back",
      cell("closing", { closing, harvest: harvest({ heldBack: ["a workflow"] }) }),
      collected,
      "give-up",
    ],
    [
      "a closing one whose push was refused",
      cell("closing", { closing, harvest: harvest(), pushRefused: "protected" }),
      collected,
      "give-up",
    ],
    [
      "a discarded one with work left",
      cell("closing", { closing: { ...closing, discard: true }, harvest: harvest() }),
      run("ended"),
      "seal",
    ],
    [
      "a discarded one at work",
      cell("closing", { closing: { ...closing, discard: true } }),
      run("running"),
      "stop",
    ],
    [
      "a doomed one at work",
      cell("closing", { closing: { ...closing, discard: true, thenDestroy: true } }),
      run("running"),
      "scrub",
    ],
  ];
  it.each(table)("for %s follows from what is written down", (_what, one, last, step) => {
    expect(decide(one, last).kind).toBe(step);
  });

  it("gives up closing what was held back and cannot be published at all, unless it is discarded", () => {
    const lost = harvest({ tip: null, heldBack: ["the worktree is gone"] });
    expect(decide(cell("closing", { closing, harvest: lost }), collected).kind).toBe("give-up");
    expect(decide(cell("idle", { harvest: lost }), collected).kind).toBe("nothing");
    const discarded = { ...closing, discard: true };
    expect(decide(cell("closing", { closing: discarded, harvest: lost }), collected).kind).toBe("seal");
  });

  it("names every reason why the work was held back", () => {
    const held = cell("closing", { closing, harvest: harvest({ heldBack: ["a workflow", "a hook"] }) });
    expect(decide(held, collected)).toEqual({ kind: "give-up", why: "a workflow; a hook" });
  });

  it("knows every state", () => {
    for (const state of STATES) expect(decide(cell(state), null).kind).toBeTypeOf("string");
  });
});

describe("how a run is remembered", () => {
  it.each([
    [0, null, true, "done"],
    [0, null, false, "nothing-changed"],
    [3, null, true, "failed"],
    [null, null, true, "failed"],
    [null, "stopped by dev", true, "done"],
    [null, "stopped by dev", false, "nothing-changed"],
    [null, "over its wall clock of 2 h", true, "failed"],
  ])("exit %s, stopped %s, changed %s: %s", (code, stopped, changed, outcome) => {
    expect(outcomeOf({ code, stopped }, changed ? harvest() : nothingLeft())).toBe(outcome);
  });
});

describe("what is held back", () => {
  const held = harvest({
    heldBack: ["big.bin is too large"],
    protectedPaths: [".gitea/x decides what runs next"],
  });

  it("is not pushed, and keeps a cell from closing", () => {
    expect(decide(cell("idle", { harvest: held }), run("ended", { startedAt: 1, collectedAt: 2 }))).toEqual({
      kind: "nothing",
    });
    expect(
      decide(cell("closing", { harvest: held }), run("ended", { startedAt: 1, collectedAt: 2 })),
    ).toMatchObject({
      kind: "give-up",
      why: expect.stringContaining("big.bin"),
    });
  });

  it("is let go by a director for this very tip, and for no other", () => {
    const ended = run("ended", { startedAt: 1, collectedAt: 2 });
    expect(decide(cell("idle", { harvest: held, releasedTip: TIP }), ended)).toMatchObject({
      kind: "push",
      tip: TIP,
    });
    expect(decide(cell("idle", { harvest: held, releasedTip: "1".repeat(40) }), ended)).toEqual({
      kind: "nothing",
    });
  });

  it("is never let go where it shows a secret", () => {
    const secret = harvest({ forbidden: ["commit 1 shows a secret"] });
    expect(heldFor({ harvest: secret, releasedTip: TIP })).toEqual(["commit 1 shows a secret"]);
    expect(
      decide(
        cell("idle", { harvest: secret, releasedTip: TIP }),
        run("ended", { startedAt: 1, collectedAt: 2 }),
      ),
    ).toEqual({
      kind: "nothing",
    });
  });
});
