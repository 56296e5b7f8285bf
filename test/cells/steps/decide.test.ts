import { describe, expect, it } from "vitest";
import { type Cell, type Closing, type Run, STATES, type State } from "../../../src/cells/cell.ts";
import type { ExitClass } from "../../../src/cells/exit.ts";
import {
  decide,
  followUpOf,
  heldFor,
  outcomeOf,
  type Tries,
  triesOf,
} from "../../../src/cells/steps/decide.ts";
import { harvest, NOTHING_YET, newCell, nothingLeft, TIP } from "../../fakes/control-rig.ts";

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
    turn: 1,
    turnKind: "first",
    ...{ costUsd: null, tokens: null, moreUsd: 0, moreTokens: 0 },
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
    stopCause: null,
    handle: null,
    logPath: null,
    collectedAt: null,
    leftovers: [],
    refusedHosts: [],
    people: null,
    notBefore: null,
    isAutomatic: false,
    exitClass: null,
    exitWhy: null,
    exitSays: null,
    resetsAt: null,
    setup: null,
    left: null,
    secrets: null,
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

  it("gives up closing what has no repository to go to, unless its time is up or it is discarded", () => {
    const at = (how: Partial<Closing>) =>
      decide(
        cell("closing", {
          closing: { ...closing, ...how },
          harvest: harvest(),
          repositoryTrouble: "acme/app is gone",
        }),
        collected,
      );
    expect(at({})).toEqual({ kind: "give-up", why: "acme/app is gone" });
    expect(at({ discard: true }).kind).toBe("seal");
    expect(at({ outcome: "expired" }).kind).toBe("seal");
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
    ["done", true, "done"],
    ["nothing-changed", false, "nothing-changed"],
    ["stopped", true, "done"],
    ["stopped", false, "nothing-changed"],
    ["question", true, "done"],
    ["question", false, "nothing-changed"],
    ["crashed", true, "failed"],
    ["over-limit", true, "failed"],
    ["quota", false, "failed"],
    ["lost", true, "failed"],
  ] as const)("%s, changed %s: %s", (exit, changed, outcome) => {
    expect(outcomeOf(exit, { changed })).toBe(outcome);
  });
});

describe("what follows from an exit", () => {
  const DAY = 24 * 60 * 60_000;
  const lasting = cell("idle", { expiresAt: DAY });
  const NONE: Tries = { crashes: 0, quotas: 0 };
  const follows = (
    kind: ExitClass,
    more: {
      tries?: Partial<Tries>;
      resetsAt?: number;
      isReboot?: boolean;
      revives?: number;
      jitter?: number;
      one?: Cell;
    } = {},
  ) =>
    followUpOf(
      { class: kind, resetsAt: more.resetsAt ?? null, isReboot: more.isReboot ?? false },
      more.one ?? lasting,
      {
        now: 1_000_000,
        tries: { ...NONE, ...more.tries },
        revives: more.revives ?? 2,
        jitter: more.jitter ?? 0,
      },
    );
  const inMs = (verdict: ReturnType<typeof follows>) =>
    verdict.kind === "retry" ? verdict.at - 1_000_000 : verdict.kind;

  it.each(["done", "nothing-changed", "stopped"] as const)("%s: what there is is published", (kind) => {
    expect(follows(kind)).toEqual({ kind: "publish" });
  });

  it.each(["question", "not-logged-in", "no-credit", "cannot-run", "over-limit"] as const)(
    "%s: a person is asked at once",
    (kind) => {
      expect(follows(kind)).toEqual({ kind: "ask", latch: null });
    },
  );

  it.each(["crashed", "machine", "lost"] as const)(
    "%s: it is tried again, later each time, and then a person is asked",
    (kind) => {
      expect(inMs(follows(kind))).toBe(30_000);
      expect(inMs(follows(kind, { tries: { crashes: 1 } }))).toBe(120_000);
      expect(follows(kind, { tries: { crashes: 2 } })).toEqual({
        kind: "ask",
        latch: "2 automatic retries failed",
      });
      expect(inMs(follows(kind, { tries: { crashes: 9 }, revives: 20 }))).toBe(15 * 60_000);
    },
  );

  it("goes on at once after the machine was started anew, but not for ever", () => {
    expect(inMs(follows("machine", { isReboot: true }))).toBe(0);
    expect(follows("machine", { isReboot: true, tries: { crashes: 2 } }).kind).toBe("ask");
  });

  it("goes on when a quota resets, however often, spread a little", () => {
    expect(inMs(follows("quota", { resetsAt: 1_000_000 + 600_000 }))).toBe(600_000);
    expect(inMs(follows("quota", { resetsAt: 1_000_000 + 600_000, jitter: 1 }))).toBe(660_000);
    expect(inMs(follows("quota", { resetsAt: 1_000_000 + 2_000, tries: { crashes: 2 } }))).toBe(2_000);
  });

  it("waits longer and longer where the reset is not told, or always soon", () => {
    const wait = (quotas: number, resetsAt?: number) =>
      inMs(follows("quota", { tries: { quotas }, ...(resetsAt === undefined ? {} : { resetsAt }) }));
    expect([0, 1, 2, 3, 9].map((quotas) => wait(quotas))).toEqual([
      ...[15, 30, 60, 120, 240].map((minutes) => minutes * 60_000),
    ]);
    expect([0, 1, 5, 20].map((quotas) => wait(quotas, 5))).toEqual([1_000, 2_000, 32_000, 900_000]);
  });

  it("tries nothing again after the cell's TTL, and says when it could have been", () => {
    const one = cell("idle", { expiresAt: 1_020_000 });
    expect(follows("crashed", { one })).toMatchObject({
      kind: "ask",
      latch: expect.stringContaining("after the end of its TTL, at 1970-01-01 00:17 UTC"),
    });
    expect(follows("quota", { one, resetsAt: 1_900_000 })).toMatchObject({
      kind: "ask",
      latch: expect.stringContaining("its quota resets only after"),
    });
  });

  it.each(["crashed", "quota", "lost"] as const)("tries nothing again where revives is 0: %s", (kind) => {
    expect(follows(kind, { revives: 0 })).toMatchObject({ kind: "ask" });
  });

  it("counts what went on by itself since a person asked", () => {
    const asked = (exitClass: ExitClass) => ({ isAutomatic: false, exitClass });
    const again = (exitClass: ExitClass) => ({ isAutomatic: true, exitClass });
    expect(triesOf([])).toEqual(NONE);
    expect(triesOf([asked("crashed")])).toEqual(NONE);
    expect(triesOf([asked("crashed"), again("crashed"), again("lost")])).toEqual({ crashes: 2, quotas: 0 });
    expect(triesOf([asked("crashed"), again("quota"), again("quota")])).toEqual({ crashes: 1, quotas: 1 });
    expect(triesOf([asked("quota"), again("quota"), again("crashed")])).toEqual({ crashes: 0, quotas: 2 });
    expect(triesOf([asked("quota"), again("crashed"), again("crashed")])).toEqual({ crashes: 1, quotas: 0 });
    expect(triesOf([asked("crashed"), again("crashed"), asked("crashed")])).toEqual(NONE);
  });

  it("publishes nothing while it is to go on by itself", () => {
    const made = cell("idle", { harvest: harvest() });
    expect(decide(made, run("waiting", { isAutomatic: true })).kind).toBe("nothing");
    expect(decide(made, run("waiting")).kind).toBe("push");
    expect(decide(made, run("withdrawn", { isAutomatic: true })).kind).toBe("push");
    expect(decide({ ...made, state: "closing", closing }, run("withdrawn", { isAutomatic: true })).kind).toBe(
      "push",
    );
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

  it("is let go where a director named each value that it shows, and that value alone", () => {
    const shown = [
      { name: "NODE_ENV", mark: "m1", commits: ["1"] },
      { name: "KEY", mark: "m2", commits: ["1", "2", "3"] },
    ];
    const work = { harvest: harvest({ shownSecrets: shown }), releasedTip: TIP };
    const held = (...releasedSecrets: { name: string; mark: string | null }[]) =>
      heldFor({ ...work, releasedSecrets });
    const both = [
      "commit 1 shows the value of NODE_ENV, which is a secret (env)",
      "commits 1 and 2 more show the value of KEY, which is a secret (env)",
    ];
    expect(held()).toEqual(both);
    expect(held({ name: "NODE_ENV", mark: "m1" })).toEqual([both[1]]);
    expect(held({ name: "NODE_ENV", mark: "other" }, { name: "KEY", mark: null })).toEqual(both);
    expect(held({ name: "NODE_ENV", mark: "m1" }, { name: "KEY", mark: "m2" })).toEqual([]);
    const unmarked = harvest({ shownSecrets: [{ name: "KEY", mark: null, commits: ["1"] }] });
    expect(
      heldFor({ harvest: unmarked, releasedTip: TIP, releasedSecrets: [{ name: "KEY", mark: null }] }),
    ).toHaveLength(1);
  });

  it("is never let go where it shows a secret", () => {
    const secret = harvest({ forbidden: ["commit 1 shows a secret"] });
    expect(heldFor({ harvest: secret, releasedTip: TIP, releasedSecrets: null })).toEqual([
      "commit 1 shows a secret",
    ]);
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
