import { describe, expect, it } from "vitest";
import {
  basisOf,
  type Check,
  type Checked,
  type CheckState,
  type CheckWork,
  nextCheck,
  resultsOf,
  type Side,
} from "../../src/cells/check.ts";

const plan = (name: string) => ({
  ...{ name, command: `run ${name}`, source: null, digest: `digest of ${name}` },
  ...{ network: "none", limitMs: 1_000 },
});
const checked = (names: readonly string[], more: Partial<Checked> = {}): Checked => ({
  ...{ tip: "t".repeat(40), faults: [], trouble: null, stopped: null },
  plan: names.map((name) => plan(name)) as Checked["plan"],
  ...more,
});

let n = 0;
function row(name: string, state: CheckState, side: Side = "tip", more: Partial<Check> = {}): Check {
  return {
    ...{ cellId: "x", n: ++n, tip: "t".repeat(40), name, side, commit: "c", basis: "", agent: "allegro" },
    ...{ state, handle: null, startedAt: 1_000, limitMs: 1_000, endedAt: 3_000, code: null, why: null },
    ...{ tail: "", refusedHosts: [], leftovers: [] },
    ...more,
  };
}
const work = (rows: readonly Check[], known: Readonly<Record<string, CheckState>> = {}): CheckWork => ({
  rows,
  known: (basis) => {
    const state = known[basis];
    return state === undefined ? null : { state };
  },
});
const next = (names: readonly string[], rows: readonly Check[], known = {}) => {
  const found = nextCheck(checked(names), work(rows, known));
  return found === null ? null : `${found.plan.name} on ${found.side}`;
};

describe("what is run next", () => {
  it.each<[string, readonly Check[], string | null]>([
    ["nothing was begun: the setup", [], "setup on tip"],
    ["one is at work", [row("setup", "running")], null],
    ["one is about to begin", [row("setup", "waiting")], null],
    ["the setup passed", [row("setup", "passed")], "lint on tip"],
    ["the setup failed: nothing more", [row("setup", "failed")], null],
    ["the first passed", [row("setup", "passed"), row("lint", "passed")], "test on tip"],
    ["all passed", [row("setup", "passed"), row("lint", "passed"), row("test", "passed")], null],
    [
      "one failed: the base is set up, too",
      [row("setup", "passed"), row("lint", "failed"), row("test", "passed")],
      "setup on base",
    ],
    [
      "and it runs there",
      [row("setup", "passed"), row("lint", "failed"), row("test", "passed"), row("setup", "passed", "base")],
      "lint on base",
    ],
    [
      "where the base cannot be set up, nothing is said of it",
      [row("setup", "passed"), row("lint", "failed"), row("test", "passed"), row("setup", "failed", "base")],
      null,
    ],
    [
      "what could not be run is not run on the base",
      [row("setup", "passed"), row("lint", "broken"), row("test", "timed-out")],
      null,
    ],
    ["what was lost begins once more", [row("setup", "lost")], "setup on tip"],
    ["and not twice", [row("setup", "lost"), row("setup", "lost")], null],
    [
      "what is superseded counts for nothing",
      [row("setup", "superseded"), row("lint", "superseded")],
      "setup on tip",
    ],
  ])("%s", (_, rows, expected) => {
    expect(next(["setup", "lint", "test"], rows)).toBe(expected);
  });

  it("asks the base only what is not known of it", () => {
    const one = checked(["test"]);
    const basis = basisOf(one, one.plan[0] ?? plan("test"));
    expect(next(["test"], [row("test", "failed")])).toBe("test on base");
    expect(next(["test"], [row("test", "failed")], { [basis]: "passed" })).toBe(null);
  });

  it("is nothing where they were stopped, or cannot be run at all", () => {
    const rest = work([]);
    expect(nextCheck(checked(["test"], { stopped: "stopped by dev" }), rest)).toBe(null);
    expect(nextCheck(checked(["test"], { trouble: "no file" }), rest)).toBe(null);
  });

  it("knows the same command after another setup for another one", () => {
    const [bare, set] = [checked(["test"]), checked(["setup", "test"])];
    expect(basisOf(bare, plan("test"))).not.toBe(basisOf(set, plan("test")));
    expect(basisOf(set, plan("setup"))).toBe("digest of setup");
  });
});

describe("what came of them", () => {
  it("tells each in its order, what it took, and what the base says", () => {
    const one = checked(["lint", "test", "e2e"], { faults: [{ name: "odd", why: "odd.run: is missing" }] });
    const rows = [
      row("lint", "passed", "tip", { code: 0 }),
      row("test", "failed", "tip", { code: 3, tail: "no" }),
    ];
    const known = { "digest of test": "passed" } as const;
    expect(resultsOf(one, work(rows, known))).toMatchObject([
      { name: "lint", state: "passed", tookMs: 2_000, onBase: null },
      { name: "test", state: "failed", code: 3, onBase: "passed", tail: "no" },
      { name: "e2e", state: "waiting", tookMs: null },
      { name: "odd", state: "broken", why: "odd.run: is missing" },
    ]);
  });

  it("says of each that its setup failed, and of what was left out that it was stopped", () => {
    const rows = [row("setup", "failed", "tip", { code: 2, tail: "no network" })];
    expect(resultsOf(checked(["setup", "test"]), work(rows))).toMatchObject([
      { name: "test", state: "broken", why: "its setup failed: exit 2", tail: "no network" },
    ]);
    expect(resultsOf(checked(["test"], { stopped: "stopped by dev" }), work([]))).toMatchObject([
      { name: "test", state: "stopped", why: "stopped by dev" },
    ]);
  });
});
