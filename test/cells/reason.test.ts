import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitOf, STOP_CAUSES } from "../../src/cells/exit.ts";
import { type Causes, reasonOf } from "../../src/cells/reason.ts";
import { type ControlRig, createControl, ended, harvest, ID, nothingLeft } from "../fakes/control-rig.ts";

const NONE: Causes = {
  ...{ approval: null, notStarted: null, stuck: null, pushRefused: null, notClosed: null },
  ...{
    directoryTrouble: null,
    repositoryTrouble: null,
    runnerTrouble: null,
    divertedFrom: null,
    publishedBranch: null,
    logCut: null,
  },
};

describe("the reason of a cell", () => {
  it.each<[Partial<Causes>, string]>([
    [{ approval: "the text was changed" }, "the text was changed"],
    [{ notStarted: "hermes is not installed" }, "hermes is not installed"],
    [{ stuck: { job: "push", why: "disk full", isOver: false } }, "disk full (tried again by itself)"],
    [
      { stuck: { job: "push", why: "disk full", isOver: true } },
      "disk full (gave up retrying: a person must look)",
    ],
    [{ pushRefused: "protected" }, "not published: protected"],
    [{ notClosed: "it was not closed" }, "it was not closed"],
    [{ directoryTrouble: "gone" }, "its directory is gone"],
    [
      { divertedFrom: "lazarus/a", publishedBranch: "lazarus/a-2" },
      "somebody pushed to lazarus/a meanwhile: this went to lazarus/a-2",
    ],
    [
      { logCut: { run: 2, bytes: 7 } },
      "the log of run 2 grew over its limit: 7 bytes were cut out of its middle, the run goes on",
    ],
  ])("is %j in words", (cause, words) => {
    expect(reasonOf({ ...NONE, ...cause })).toBe(words);
  });

  it("is null where nothing is in the way, and names every cause there is", () => {
    expect(reasonOf(NONE)).toBeNull();
    const both = { ...NONE, directoryTrouble: "gone", pushRefused: "protected" };
    expect(reasonOf(both)).toBe("not published: protected; its directory is gone");
  });
});

describe("a cause", () => {
  let rig: ControlRig;
  beforeEach(() => {
    rig = createControl();
  });
  afterEach(() => rig.remove());

  it("hides no other: what the pit saw stays while a push is refused, and the other way round", () => {
    rig.idle();
    rig.registry.update(ID, { directoryTrouble: "gone" });
    rig.report("push-refused", { cellId: ID, run: 1, why: "protected" });
    expect(rig.cell().reason).toBe("not published: protected; its directory is gone");
    rig.report("pushed", { cellId: ID, run: 1, branch: "b", tip: "t", divertedFrom: null });
    expect(rig.cell().reason).toBe("its directory is gone");
  });

  it("of the end of a run is what was asked for, whatever the words say", () => {
    for (const words of ["over its wall clock of 2h", "stopped by over its limit", "", "x"]) {
      rig.create({ id: crypto.randomUUID() });
      const { id } = rig.registry.list().at(-1) ?? { id: "" };
      const handle = { pid: 4711 };
      rig.report("run-started", {
        cellId: id,
        run: 1,
        handle,
        startedAt: 1,
        logPath: "",
        prompt: null,
        secrets: [],
      });
      rig.lifecycle.stop(rig.cell(id), words);
      rig.report("run-ended", ended(id, 1, 2, { code: null, signal: "TERM", stopped: words }));
      rig.report("collected", { cellId: id, run: 1, harvest: nothingLeft() });
      expect(rig.run(id)).toMatchObject({ stopCause: "asked", exitClass: "stopped" });
    }
  });

  it("is forgotten where the run had ended by itself before the stop came to it", () => {
    rig.active();
    rig.lifecycle.stop(rig.cell(), "dev");
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(rig.run()).toMatchObject({ stopped: null, stopCause: null, exitClass: "done" });
  });

  it("decides alone what class a run has that Lazarus ended", () => {
    const classes = STOP_CAUSES.map((stopCause) => {
      const stopped = "over its own words";
      const run = { code: 143, signal: "TERM", stopped, stopCause, isAutomatic: false };
      return exitOf({ run, preset: null, harvest: nothingLeft(), isNew: false }).class;
    });
    const others = STOP_CAUSES.map((cause) => (cause === "over-limit" ? "over-limit" : "stopped"));
    expect(classes).toEqual(others);
  });
});
