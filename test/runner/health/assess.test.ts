import { describe, expect, it } from "vitest";
import { type Assessment, assess, type Signals } from "../../../src/runner/health/assess.ts";

const MINUTE = 60_000;
const NOW = 100 * MINUTE;
const LIMITS = { quietMs: 5 * MINUTE, stalledMs: 15 * MINUTE };
const ago = (minutes: number) => NOW - minutes * MINUTE;

/** An agent that was started an hour ago and never gave a sign. */
const signals = (more: Partial<Signals> = {}): Signals => ({
  process: "alive",
  startedAt: ago(60),
  outputAt: null,
  changedAt: null,
  isTreeSeen: true,
  beatAt: null,
  gatewayFault: null,
  loop: null,
  ...more,
});
const see = (more: Partial<Signals>, before: Pick<Assessment, "health" | "since"> | null = null) =>
  assess(signals(more), { now: NOW, before }, LIMITS);

const LOOP = { what: "the same output again and again: no luck", since: ago(7) };
const SILENT = "no output, no change, process alive";

describe("how a run is", () => {
  it.each<[string, Partial<Signals>, string, string]>([
    ["just started", { startedAt: ago(1) }, "healthy", "it has just started"],
    ["prints", { outputAt: ago(1) }, "healthy", "output"],
    [
      "prints nothing, but its tree changes",
      { outputAt: ago(50), changedAt: ago(2) },
      "healthy",
      "changes in its tree",
    ],
    ["says that it lives", { beatAt: ago(4) }, "healthy", "heartbeats"],
    [
      "gives every sign",
      { outputAt: ago(1), changedAt: ago(1), beatAt: ago(1) },
      "healthy",
      "output, changes in its tree, heartbeats",
    ],
    ["silent for as long as quiet", { outputAt: ago(5) }, "quiet", SILENT],
    ["silent for longer than stalled", { outputAt: ago(15) }, "stalled", SILENT],
    ["never said anything", {}, "stalled", SILENT],
    [
      "beat once, and no more",
      { beatAt: ago(6) },
      "quiet",
      "no output, no change, no heartbeat, process alive",
    ],
    [
      "with a gateway that is down",
      { outputAt: ago(6), gatewayFault: "it answers 503" },
      "quiet",
      "no output, no change, its gateway does not answer: it answers 503, process alive",
    ],
    [
      "in a tree too large",
      { outputAt: ago(6), isTreeSeen: false },
      "quiet",
      "no output, its tree could not be looked at, process alive",
    ],
    ["loops", { outputAt: ago(0), loop: LOOP }, "looping", LOOP.what],
    [
      "loops, and its tree changes",
      { outputAt: ago(0), changedAt: ago(0), loop: LOOP },
      "looping",
      LOOP.what,
    ],
    ["loops, and says that it lives", { outputAt: ago(0), beatAt: ago(0), loop: LOOP }, "looping", LOOP.what],
    ["looped, and fell silent", { outputAt: ago(20), loop: LOOP }, "stalled", SILENT],
    ["is gone", { process: "gone", outputAt: ago(0) }, "dead", "its process is gone without an exit record"],
    ["has ended", { process: "exited", outputAt: ago(0) }, "dead", "its process has ended"],
  ])("%s", (_, more, health, reason) => {
    expect(see(more)).toMatchObject({ health, reason });
  });

  it("is quiet and stalled since its limits were passed, not since somebody looked", () => {
    expect(see({ outputAt: ago(6) }).since).toBe(ago(1));
    expect(see({ outputAt: ago(26) }).since).toBe(ago(11));
    expect(see({ outputAt: ago(0), loop: LOOP }).since).toBe(LOOP.since);
    expect(see({ outputAt: ago(26) }).seenAt).toBe(ago(26));
  });

  it("keeps since when while the health is the same, and no longer", () => {
    expect(see({ outputAt: ago(1) }, { health: "healthy", since: ago(30) }).since).toBe(ago(30));
    expect(see({ outputAt: ago(26) }, { health: "stalled", since: ago(3) }).since).toBe(ago(3));
    expect(see({ outputAt: ago(1) }, { health: "stalled", since: ago(3) }).since).toBe(NOW);
  });

  it("always has a reason", () => {
    for (const process of ["alive", "exited", "gone"] as const)
      for (const outputAt of [null, ago(0), ago(6), ago(16)])
        for (const changedAt of [null, ago(0), ago(6), ago(16)])
          for (const beatAt of [null, ago(0), ago(6), ago(16)])
            for (const loop of [null, LOOP])
              expect(see({ process, outputAt, changedAt, beatAt, loop }).reason).not.toBe("");
  });
});
