import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { MOVES } from "../../../src/cells/cell.ts";
import { lookAtTime } from "../../../src/cells/expiry.ts";
import { createReportHandlers } from "../../../src/cells/reports/reports.ts";
import type { JobKind } from "../../../src/protocol/jobs.ts";
import {
  type ControlRig,
  createControl,
  ended,
  harvest,
  ID,
  jobOf,
  nothingLeft,
  setupEnded,
  setupStarted,
  started,
  TIP,
} from "../../fakes/control-rig.ts";

let rig: ControlRig;
afterEach(() => rig.remove());

type Act = readonly [name: string, act: () => void];

/** Every report there is, about a run. */
function reports(run: number, tip = TIP): Act[] {
  const { clock } = rig;
  const about = { cellId: ID, run };
  const at = clock.now();
  return [
    ["run-started", () => rig.report("run-started", started(ID, run, at))],
    ["setup-started", () => rig.report("setup-started", setupStarted(ID, run, at))],
    ["setup-ended", () => rig.report("setup-ended", setupEnded(ID, run, at))],
    ["setup failed", () => rig.report("setup-ended", setupEnded(ID, run, at, { code: 1 }))],
    ["run-refused", () => rig.report("run-refused", { ...about, why: "no" })],
    ["run-ended", () => rig.report("run-ended", ended(ID, run, at))],
    [
      "run-ended unbegun",
      () => rig.report("run-ended", ended(ID, run, at, { began: false, code: null, stopped: "stopped" })),
    ],
    ["over-limit", () => rig.report("over-limit", { limit: "time", ...about, why: "over its wall clock" })],
    ["log-cut", () => rig.report("log-cut", { ...about, bytes: 1 })],
    [
      "health",
      () =>
        rig.report("health", {
          ...about,
          ...{ health: "quiet", reason: "no output", since: at, seenAt: at, beat: null },
        }),
    ],
    ["used", () => rig.report("used", { ...about, usage: { costUsd: 1.5, tokens: 700 } })],
    ["collected", () => rig.report("collected", { ...about, harvest: harvest({ tip }) })],
    ["collected nothing", () => rig.report("collected", { ...about, harvest: nothingLeft() })],
    ["collected held", () => rig.report("collected", { ...about, harvest: harvest({ heldBack: ["x"] }) })],
    ["pushed", () => rig.report("pushed", { ...about, tip, branch: "lazarus/4f1c0b7e", divertedFrom: null })],
    [
      "pushed aside",
      () =>
        rig.report("pushed", {
          ...about,
          tip,
          branch: "lazarus/4f1c0b7e-2",
          divertedFrom: "lazarus/4f1c0b7e",
        }),
    ],
    ["push-refused", () => rig.report("push-refused", { ...about, why: "protected" })],
    ["drafted", () => rig.reports.drafted(ID, 271, "acme/app")],
    ["sealed", () => rig.report("sealed", { cellId: ID, bytes: 1 })],
    ["restored", () => rig.report("restored", about)],
    ["taken-in", () => rig.report("taken-in", { ...about, people: null })],
    ["restore-refused", () => rig.report("restore-refused", { ...about, why: "damaged" })],
    ["scrubbed", () => rig.report("scrubbed", { cellId: ID })],
    ...(
      [
        "start",
        "admit",
        "stop",
        "collect",
        "publish",
        "push",
        "seal",
        "restore",
        "take-in",
        "prune",
        "scrub",
        "draft",
        "plan-checks",
      ] as const
    ).map(
      (kind): Act => [
        `${kind} stuck`,
        () => rig.reports.stuck({ cellId: ID, kind, run, why: "trouble", retryAt: null }),
      ],
    ),
  ];
}

/** What people may ask of the cell as it is. */
function wishes(): Act[] {
  const { lifecycle, registry } = rig;
  const cell = rig.cell();
  const last = rig.run();
  const closing = { by: "owner", thenDestroy: false, outcome: null, person: null };
  const NO_MORE = { costUsd: 0, tokens: 0 };
  const all: Act[] = [["expire", () => lookAtTime(rig.deps)]];
  if (cell.state === "active" || cell.state === "idle") {
    all.push(["close", () => lifecycle.close(cell, { ...closing, discard: false }, "closed")]);
    all.push(["discard", () => lifecycle.close(cell, { ...closing, discard: true }, "closed")]);
  }
  if (cell.state === "idle" && (last.state === "ended" || last.state === "withdrawn"))
    all.push([
      "extend",
      () => rig.deps.goingOn.extend(cell, { expiresAt: cell.expiresAt + 60_000, ...NO_MORE }, "owner"),
    ]);
  if (cell.state === "idle" && (last.state === "ended" || last.state === "withdrawn"))
    all.push(["revive", () => lifecycle.rerun(cell, "allegro", cell.requester)]);
  const isSealed = cell.state === "archived" && cell.sealedAt !== null && cell.closing === null;
  if (isSealed && (last.state === "ended" || last.state === "withdrawn"))
    all.push(["revive archived", () => lifecycle.rerun(cell, "allegro", cell.requester)]);
  if (cell.waitsForApproval && cell.state === "proposed")
    all.push(["approve", () => lifecycle.approve(cell)]);
  if (cell.state !== "destroyed") all.push(["destroy", () => lifecycle.destroy(cell, "owner")]);
  all.push(["stop", () => void lifecycle.stop(cell, "dev")]);
  expect(registry.cell(ID)).not.toBeNull();
  return all;
}

function expectHistoryOnTheTable(told: readonly string[]): void {
  const rows = rig.registry.history(ID);
  let state = "proposed";
  for (const row of rows.slice(1)) {
    // Written down without a move: its agent works, after the cell was set up.
    if (row.from === "active" && row.to === "active") continue;
    expect(row.from, told.join(" > ")).toBe(state);
    expect(MOVES[row.from ?? "proposed"], told.join(" > ")).toContain(row.to);
    state = row.to;
  }
  expect(rig.cell().state, told.join(" > ")).toBe(state);
}

describe("reports, in whatever order they come", () => {
  /** One step of a walk: which act, about which run, and whether what ends a cell is among them. */
  const step = fc.record({ act: fc.nat(9_999), run: fc.nat(9_999), mayEnd: fc.nat(5) });

  it("never throw and never leave the table of moves", () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(step, { minLength: 20, maxLength: 40 }),
        (waitsForApproval, walk) => {
          rig = createControl();
          try {
            rig.create({ waitsForApproval });
            const told: string[] = [];
            for (const { act, run, mayEnd } of walk) {
              const last = rig.run().n;
              const all = [...wishes(), ...reports(1 + (run % last)), ...reports(last)].filter(
                ([name]) => mayEnd === 0 || !/destroy|scrub/.test(name),
              );
              const [name, perform] = all[act % all.length] as Act;
              told.push(name);
              rig.db.transaction(perform);
              expectHistoryOnTheTable(told);
            }
          } finally {
            rig.remove();
          }
        },
      ),
      { numRuns: 24 },
    );
  });

  it("change nothing in a tombstone", () => {
    rig = createControl();
    rig.idle();
    rig.lifecycle.destroy(rig.cell(), "owner");
    rig.report("scrubbed", { cellId: ID });
    rig.clearJobs();
    const before = [rig.cell(), rig.registry.runs(ID), rig.registry.history(ID)];
    for (const [name, act] of reports(1, "2".repeat(40))) {
      act();
      expect([rig.cell(), rig.registry.runs(ID), rig.registry.history(ID)], name).toEqual(before);
    }
    expect(rig.waiting().filter((kind) => kind !== "card")).toEqual([]);
  });

  it("change nothing when they come twice", () => {
    rig = createControl();
    rig.create();
    const good = ["run-started", "run-ended", "collected", "pushed", "drafted"];
    for (const name of good) {
      const act = () => reports(1).find(([one]) => one === name)?.[1]();
      act();
      const once = [rig.cell(), rig.registry.runs(ID), rig.registry.history(ID)];
      act();
      expect([rig.cell(), rig.registry.runs(ID), rig.registry.history(ID)], name).toEqual(once);
    }
    expect(rig.cell()).toMatchObject({ state: "idle", pullRequest: 271 });
  });
});

it("each kind of report changes the registry only in its finish", async () => {
  rig = createControl();
  rig.create();
  const handlers = createReportHandlers(rig.reports, () => {});
  const kinds = Object.keys(handlers) as JobKind[];
  expect(kinds.sort()).toEqual([
    "check-ended",
    "check-refused",
    "check-started",
    "checks-planned",
    "collected",
    "health",
    "log-cut",
    "over-limit",
    "push-refused",
    "pushed",
    "restore-refused",
    "restored",
    "run-ended",
    "run-refused",
    "run-started",
    "scrubbed",
    "sealed",
    "setup-ended",
    "setup-started",
    "spare-made",
    "taken-in",
    "used",
  ]);
  const { job, context } = jobOf("run-started", started(ID, 1, rig.clock.now()));
  const finish = await handlers["run-started"]?.(job, context);
  expect(rig.cell().state).toBe("proposed");
  finish?.();
  expect(rig.cell().state).toBe("active");
});
