import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toIso } from "../../../src/clock.ts";
import type { JobPayload } from "../../../src/protocol/jobs.ts";
import type { AnyReport } from "../../../src/protocol/reports.ts";
import type { HealthBefore } from "../../../src/protocol/runner-port.ts";
import { Pulse, type PulseDeps } from "../../../src/runner/health/vital-signs.ts";
import { createSemaphore } from "../../../src/semaphore.ts";
import { createFakeClock, type FakeClock } from "../../fakes/clock.ts";

const ID = "4f1c0b7e-1111-4222-8333-444455556666";
const SCAN_MS = 30_000;
const MINUTE = 60_000;
const SECRET = "sekrit-token-1234567890";

let dir: string;
let clock: FakeClock;
let reports: AnyReport[];
let pulse: Pulse;

const at = (...names: string[]) => join(dir, ...names);
const print = (text: string) => {
  appendFileSync(at("logs/allegro-1.log"), text);
  utimesSync(at("logs/allegro-1.log"), new Date(clock.now()), new Date(clock.now()));
};
const beatFile = (text: string) => {
  writeFileSync(at("artifacts/heartbeat.json"), text);
  utimesSync(at("artifacts/heartbeat.json"), new Date(clock.now()), new Date(clock.now()));
};
const written = () => JSON.parse(readFileSync(at("state/heartbeat.json"), "utf8")) as Record<string, unknown>;
const last = () => reports.filter((one) => one.kind === "health").at(-1)?.payload as JobPayload<"health">;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-pulse-"));
  for (const name of ["logs", "state", "artifacts", "worktree/.git", "home"])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at("logs/allegro-1.log"), "");
  // The files above are older than the run.
  clock = createFakeClock(Date.now() + 10_000);
  reports = [];
  pulse = feel();
});
afterEach(async () => {
  await pulse.rest();
  rmSync(dir, { recursive: true, force: true });
});

function feel(
  more: Partial<PulseDeps> = {},
  run: { runningMs?: number; startedAt?: number; before?: HealthBefore | null } = {},
): Pulse {
  const { runningMs = 0, startedAt = clock.now() - runningMs, before = null } = run;
  const deps: PulseDeps = {
    clock,
    log: { warn: (facts) => void expect.unreachable(JSON.stringify(facts)) },
    cellDir: dir,
    usage: { look: async () => null },
    logName: "allegro-1.log",
    limits: { quietMs: 5 * MINUTE, stalledMs: 15 * MINUTE },
    scanMs: SCAN_MS,
    diskBytes: 1e12,
    healthUrl: null,
    redact: (text) => text.replaceAll(SECRET, "[redacted]"),
    slots: createSemaphore(1),
    report: (report) => void reports.push(report),
    ...more,
  };
  return new Pulse(deps, { cellId: ID, run: 1, startedAt, runningMs, before });
}

/** Lets time pass, and looks once. */
async function scan(ms = SCAN_MS): Promise<JobPayload<"health">> {
  await clock.advance(ms);
  await pulse.tick();
  return last();
}

describe("signs of life", () => {
  it("reports the first look, and then only what is new", async () => {
    expect(await scan(0)).toEqual({
      ...{ cellId: ID, run: 1, health: "healthy", reason: "it has just started" },
      ...{ since: clock.now(), seenAt: clock.now(), beat: null },
    });
    await scan();
    await scan();
    expect(reports).toHaveLength(1);
    print("hello\n");
    expect(await scan()).toMatchObject({
      health: "healthy",
      reason: "output",
      seenAt: clock.now() - SCAN_MS,
    });
    expect(reports).toHaveLength(2);
    await scan();
    expect(reports).toHaveLength(2);
  });

  it("becomes quiet and then stalled without any, and healthy again by one", async () => {
    await scan(0);
    print("hello\n");
    const printed = clock.now();
    await scan();
    const silent = "no output, no change, process alive";
    expect(await scan(5 * MINUTE)).toMatchObject({
      health: "quiet",
      reason: silent,
      since: printed + 5 * MINUTE,
    });
    expect(await scan(11 * MINUTE)).toMatchObject({
      health: "stalled",
      reason: silent,
      since: printed + 15 * MINUTE,
    });
    const count = reports.length;
    await scan(60 * MINUTE);
    expect(reports).toHaveLength(count);
    print("again\n");
    expect(await scan()).toMatchObject({ health: "healthy", reason: "output" });
  });

  it.each<[string, () => void]>([
    ["a file", () => writeFileSync(at("worktree/a.txt"), "a")],
    [
      "a file deep down",
      () => {
        mkdirSync(at("worktree/a/b/c"), { recursive: true });
        writeFileSync(at("worktree/a/b/c/d"), "");
      },
    ],
    ["the index", () => writeFileSync(at("worktree/.git/index"), "x")],
    [
      "a file whose times somebody set back",
      () => {
        writeFileSync(at("worktree/old"), "");
        utimesSync(at("worktree/old"), 1, 1);
      },
    ],
    ["something removed", () => rmSync(at("worktree/.git"), { recursive: true })],
  ])("is healthy while its tree changes: %s", async (_, change) => {
    await scan(0);
    await scan(16 * MINUTE);
    expect(last().health).toBe("stalled");
    change();
    expect(await scan()).toMatchObject({ health: "healthy", reason: "changes in its tree" });
  });

  it("follows no link out of the tree, and opens nothing in it", async () => {
    const outside = mkdtempSync(join(tmpdir(), "lazarus-outside-"));
    symlinkSync(outside, at("worktree/out"));
    execFileSync("mkfifo", [at("worktree/pipe")]);
    await scan(0);
    await scan(6 * MINUTE);
    writeFileSync(join(outside, "new"), "x");
    expect(await scan()).toMatchObject({ health: "quiet" });
    rmSync(outside, { recursive: true });
  });

  it("reports a cell that is over its disk", async () => {
    pulse = feel({ diskBytes: 1 });
    await scan(0);
    expect(reports.find((one) => one.kind === "over-limit")?.payload).toMatchObject({
      why: expect.stringMatching(/^over its disk: /),
    });
  });
});

describe("a loop", () => {
  const round = (n: number) => `running the tests again (${n} ms)\n  1 failed, 3 passed\n`.repeat(30);

  it("is believed at the third look with new output between, whatever else is well", async () => {
    await scan(0);
    for (const health of ["healthy", "healthy", "looping"]) {
      print(round(7));
      writeFileSync(at("worktree/a.txt"), String(clock.now()));
      expect((await scan()).health).toBe(health);
    }
    expect(last()).toMatchObject({ reason: "the same output again and again: running the tests again ()" });
    await scan(20 * MINUTE);
    expect(last().health).toBe("stalled");
    print(`${round(7)}at last it works\n`);
    expect((await scan()).health).toBe("healthy");
  });

  it("is not one where the same output does not go on", async () => {
    await scan(0);
    print(round(7));
    for (let n = 0; n < 5; n++) expect((await scan()).health).toBe("healthy");
  });

  it("shows no secret", async () => {
    await scan(0);
    for (let n = 0; n < 3; n++) {
      print(`the key ${SECRET} is refused\n`.repeat(50));
      await scan();
    }
    expect(last().reason).toBe("the same output again and again: the key [redacted] is refused");
  });
});

describe("a heartbeat", () => {
  it("by HTTP counts at once, stays in the file beside the runner's, and is said", async () => {
    await scan(0);
    expect((await scan(16 * MINUTE)).health).toBe("stalled");
    await pulse.hear({ state: "testing", message: "3 of 7", progress: 0.4 });
    const beat = { state: "testing", message: "3 of 7", progress: 0.4, by: "agent" };
    expect(written()).toEqual({ ...beat, at: toIso(clock.now()) });
    // It was silent: nobody waits for the next scan to be due.
    expect(await scan(1)).toMatchObject({ health: "healthy", reason: "heartbeats", beat });
    await scan();
    expect(written()).toMatchObject({ by: "runner", state: "running", agent: beat });
    expect(await scan(6 * MINUTE)).toMatchObject({
      health: "quiet",
      reason: "no output, no change, no heartbeat, process alive",
    });
  });

  it("makes nobody look sooner who is not silent", async () => {
    await scan(0);
    for (let n = 0; n < 3; n++) {
      print("the same old story again\n".repeat(50));
      await scan();
    }
    expect(last().health).toBe("looping");
    const count = reports.length;
    await pulse.hear({ state: "busy", message: null, progress: null });
    await scan(1_000);
    expect(reports).toHaveLength(count);
  });

  it("by a file counts when the file is another one", async () => {
    await scan(0);
    beatFile('{"state": "thinking"}');
    expect(await scan()).toMatchObject({ reason: "heartbeats", beat: { state: "thinking", by: "file" } });
    expect((await scan(6 * MINUTE)).health).toBe("quiet");
    beatFile('{"state": "thinking"}');
    expect((await scan()).health).toBe("healthy");
  });

  it("of an earlier run, found in the artifacts, is none", async () => {
    beatFile('{"state": "old"}');
    await clock.advance(MINUTE);
    pulse = feel();
    expect((await scan(0)).beat).toBeNull();
    beatFile('{"state": "new"}');
    expect((await scan()).beat).toMatchObject({ state: "new" });
  });

  it.each<[string, () => void]>([
    ["a link", () => symlinkSync(at("real.json"), at("artifacts/heartbeat.json"))],
    ["a second name of another file", () => linkSync(at("real.json"), at("artifacts/heartbeat.json"))],
    ["a fifo", () => void execFileSync("mkfifo", [at("artifacts/heartbeat.json")])],
    ["a directory", () => mkdirSync(at("artifacts/heartbeat.json"))],
    [
      "a gigabyte",
      () => {
        writeFileSync(at("artifacts/heartbeat.json"), "");
        truncateSync(at("artifacts/heartbeat.json"), 2 ** 30);
      },
    ],
    ["half a file", () => beatFile('{"state": "thin')],
    [
      "no artifacts, but a link",
      () => {
        rmSync(at("artifacts"), { recursive: true });
        symlinkSync(at("other"), at("artifacts"));
      },
    ],
  ])("that is %s is none, and harms nothing", async (_, spoil) => {
    mkdirSync(at("other"));
    await scan(0);
    for (const name of ["real.json", "other/heartbeat.json"]) {
      writeFileSync(at(name), '{"state": "stolen"}');
      utimesSync(at(name), new Date(clock.now()), new Date(clock.now()));
    }
    spoil();
    expect((await scan()).beat).toBeNull();
    expect(last().reason).not.toContain("heartbeat");
  });

  it("with a time of the future counts as now, once", async () => {
    await scan(0);
    writeFileSync(at("artifacts/heartbeat.json"), '{"state": "early"}');
    utimesSync(at("artifacts/heartbeat.json"), new Date(clock.now() + 1e9), new Date(clock.now() + 1e9));
    expect(await scan()).toMatchObject({ reason: "heartbeats", seenAt: clock.now() });
    expect((await scan(6 * MINUTE)).health).toBe("quiet");
  });
});

describe("clocks that are set", () => {
  it.each([24 * 60 * MINUTE, -24 * 60 * MINUTE])("make nobody stalled (%i ms)", async (jump) => {
    await scan(0);
    print("hello\n");
    expect((await scan()).health).toBe("healthy");
    clock.jump(jump);
    expect((await scan()).health).toBe("healthy");
    print("hello\n");
    expect((await scan()).health).toBe("healthy");
    await scan(16 * MINUTE);
    // Where the clock was set back behind the newest change in the tree, nothing can be told of the tree.
    expect(last().health).toBe(jump > 0 ? "stalled" : "healthy");
  });

  it("make nobody stalled whom an earlier process looked at", async () => {
    print("hello\n");
    const startedAt = clock.now() - 60 * MINUTE;
    clock.jump(24 * 60 * MINUTE);
    pulse = feel({}, { runningMs: 60 * MINUTE, startedAt });
    expect((await scan(0)).health).toBe("healthy");
  });
});

describe("after a restart", () => {
  it("goes on being stalled since when it was", async () => {
    print("hello\n");
    await clock.advance(60 * MINUTE);
    const since = clock.now() - 44 * MINUTE;
    pulse = feel({}, { runningMs: 70 * MINUTE, before: { health: "stalled", since, beat: null } });
    expect(await scan(0)).toMatchObject({ health: "stalled", since, seenAt: clock.now() - 60 * MINUTE });
  });

  it("still knows what the agent said last", async () => {
    await clock.advance(60 * MINUTE);
    const beat = {
      at: clock.now() - MINUTE,
      state: "testing",
      message: null,
      progress: null,
      by: "agent",
    } as const;
    pulse = feel({}, { runningMs: 60 * MINUTE, before: { health: "healthy", since: 0, beat } });
    expect(await scan(0)).toMatchObject({ health: "healthy", reason: "heartbeats", beat });
  });
});

it("says what is known of a run whose end cannot be told", async () => {
  await scan(0);
  pulse.sayDead("gone");
  expect(last()).toMatchObject({ health: "dead", reason: "its process is gone without an exit record" });
});
