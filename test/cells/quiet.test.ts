import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDeadlines } from "../../src/cells/registry/deadlines.ts";
import { turnsOf } from "../../src/cells/turns.ts";
import { replyJob } from "../../src/commands/posting/answer.ts";
import { writeUnasked } from "../../src/commands/posting/unasked.ts";
import { cardContent } from "../../src/commands/words/card.ts";
import { md } from "../../src/gitea/markdown.ts";
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

const REPOSITORY = { id: 7, fullName: "acme/app" };
const MINUTE = 60_000;

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

let posts = 0;
function write(number = 262, person: number | null = null, marker = `refusal:${++posts}`): boolean {
  const job = replyJob({ repository: REPOSITORY, number, marker, body: md`No.` });
  return rig.db.transaction(() => writeUnasked(job, rig, person));
}
const writeAll = (count: number, number?: number) => {
  for (let n = 0; n < count; n++) expect(write(number)).toBe(true);
};
const isQuiet = (number = 262) =>
  rig.registry.unasked.quietSince({ repository: REPOSITORY, number }) !== null;
const wake = (number = 262) => rig.deps.goingOn.wake({ repository: REPOSITORY, number });

describe("a thread", () => {
  it("is quiet after more than 10 comments in 10 minutes that nobody asked for", () => {
    writeAll(10);
    expect(isQuiet()).toBe(false);
    writeAll(1);
    expect(isQuiet()).toBe(true);
    expect(write()).toBe(false);
    expect(write(263)).toBe(true);
    expect(rig.payloads("comment").filter((one) => one.number === 262)).toHaveLength(11);
  });

  it("is not quiet for what is older, and stays quiet however long it was", async () => {
    writeAll(9);
    await rig.clock.advance(10 * MINUTE);
    writeAll(9);
    expect(isQuiet()).toBe(false);
    writeAll(2);
    expect(isQuiet()).toBe(true);
    await rig.clock.advance(48 * 60 * MINUTE);
    expect(write()).toBe(false);
  });

  it("counts one comment once, however often it is put", () => {
    for (let n = 0; n < 30; n++) expect(write(262, null, "the same")).toBe(true);
    expect(isQuiet()).toBe(false);
    expect(rig.payloads("comment")).toHaveLength(1);
  });

  it("counts nothing anew that was said once, long ago", async () => {
    write(262, null, "the same");
    await rig.clock.advance(61 * MINUTE);
    writeAll(10);
    expect(write(262, null, "the same")).toBe(true);
    expect(isQuiet()).toBe(false);
  });

  it("counts nothing of what was not written: a transaction that fails takes it back", () => {
    writeAll(10);
    expect(() =>
      rig.db.transaction(() => {
        write();
        throw new Error("killed here");
      }),
    ).toThrow("killed here");
    expect(isQuiet()).toBe(false);
    expect(rig.payloads("comment")).toHaveLength(10);
  });

  it("is woken by a director, and then counts anew", () => {
    writeAll(11);
    wake();
    writeAll(10);
    expect(isQuiet()).toBe(false);
    writeAll(1);
    expect(isQuiet()).toBe(true);
  });

  it("counts by a clock that is set, too", () => {
    writeAll(10);
    rig.clock.jump(24 * 60 * MINUTE);
    createDeadlines(rig.db).shift(24 * 60 * MINUTE);
    writeAll(1);
    expect(isQuiet()).toBe(true);
  });
});

describe("a person without a role", () => {
  it("is refused in words three times an hour, wherever, whoever was there meanwhile", async () => {
    expect([write(1, 9), write(2, 9), write(3, 9), write(4, 9), write(4, 8)]).toEqual([
      ...[true, true, true, false, true],
    ]);
    for (const number of [1, 2, 3]) {
      writeAll(10, number);
      wake(number);
    }
    expect(write(1, 9)).toBe(false);
    await rig.clock.advance(60 * MINUTE);
    expect(write(1, 9)).toBe(true);
  });
});

describe("a cell with a quiet thread", () => {
  const turns = () => turnsOf(rig.registry.runs(ID)).map(({ agent, kind }) => `${agent} ${kind}`);
  const end = () => {
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
  };

  function team(): void {
    const members = ["allegro", "ezra"].map((name) => ({ name, kind: "bot", role: "executor" }) as const);
    rig.lifecycle.create(newCell(rig.clock.now()), members, "summoned", ["ezra"]);
    rig.report("run-started", started(ID, 1, rig.clock.now()));
  }

  it("begins no turn by itself until it is woken, and says why on its first line", () => {
    team();
    writeAll(11);
    end();
    expect(turns()).toEqual(["allegro first"]);
    const text = cardContent(rig.cell(), rig.deps).text;
    expect(text).toMatch(/^\*\*quiet since 2026-11-21 14:02 UTC\*\*: I wrote more than 10 comments/);
    expectGolden("card-is-quiet-here", text);
    wake();
    expect(turns()).toEqual(["allegro first", "ezra next"]);
    expect(cardContent(rig.cell(), rig.deps).text).not.toContain("quiet");
  });

  it.each([
    ["its pull request is quiet, a director comes to its issue", 271, 262],
    ["its issue is quiet, a director comes to its pull request", 262, 271],
  ])("has two threads: %s", (_, quiet, woken) => {
    team();
    rig.registry.update(ID, { pullRequest: 271, pullRequestRepository: "acme/app" });
    writeAll(11, quiet);
    expect(rig.payloads("card")).toContainEqual({ cellId: ID });
    end();
    expect(turns()).toHaveLength(1);
    wake(woken);
    expect(isQuiet(quiet)).toBe(false);
    expect(turns()).toHaveLength(2);
  });

  it("has no announcements written, but what somebody did and waits for", () => {
    rig.idle();
    writeAll(11);
    rig.clearJobs();
    const closing = { by: "lazarus", discard: false, thenDestroy: false, outcome: null } as const;
    rig.lifecycle.close(rig.cell(), { ...closing, person: null }, "its time is up");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect(rig.payloads("comment")).toEqual([]);
  });
});
