import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDirectoryReports } from "../../src/cells/reports/directory-reports.ts";
import { createRounds, type Rounds } from "../../src/cells/rounds.ts";
import { createInventory } from "../../src/runner/pit/inventory.ts";
import { layCell } from "../fakes/cell-directory.ts";
import { type ControlRig, createControl, ID } from "../fakes/control-rig.ts";

let rig: ControlRig;
let root: string;
let rounds: Rounds;
let said: { what: string; facts: Record<string, unknown> }[];

beforeEach(() => {
  rig = createControl();
  root = join(rig.dir, "missions");
  mkdirSync(root, { recursive: true });
  said = [];
  const hear = (facts: Record<string, unknown>, what: string) => void said.push({ facts, what });
  const log = { info: hear, warn: hear } as never;
  const config = { dataDir: rig.dir, missionsDir: root, pit: rig.config.pit };
  const inventory = createInventory({ clock: rig.clock, config });
  rounds = createRounds({
    directories: createDirectoryReports({ registry: rig.registry, runner: "local", steps: rig.steps, log }),
    runner: { name: "local", inventory: inventory.look },
    clock: rig.clock,
    log,
  });
});
afterEach(() => rig.remove());

const lay = (id = ID) => layCell(root, { now: rig.clock.now(), id, status: "idle" });
const reason = () => rig.cell().reason;
const heartbeat = () => JSON.parse(readFileSync(join(rig.dir, "pit-heartbeat.json"), "utf8"));

describe("the pit inside serve", () => {
  it("says nothing of cells that are as they must be, and leaves its heartbeat", async () => {
    rig.idle();
    lay();
    rig.clearJobs();
    await rounds.look();
    await rounds.look();
    expect([reason(), rig.waiting(), said]).toEqual([null, [], []]);
    expect(heartbeat()).toMatchObject({ state: "running", by: "pit", counts: { healthy: 1 } });
  });

  it("tells on the card of a directory that is gone, once two looks missed it, and when it is back", async () => {
    rig.idle();
    rig.clearJobs();
    await rounds.look();
    expect(reason()).toBeNull();
    await rounds.look();
    expect([reason(), rig.waiting()]).toEqual(["its directory is gone", ["card"]]);
    rig.clearJobs();
    await rounds.look();
    expect(rig.waiting()).toEqual([]);
    expect(said).toHaveLength(1);
    lay();
    await rounds.look();
    expect([reason(), rig.waiting()]).toEqual([null, ["card"]]);
  });

  it("names what is damaged, whatever stood in its place", async () => {
    rig.idle();
    lay();
    rmSync(join(root, ID, "worktree"), { recursive: true });
    symlinkSync("/etc", join(root, ID, "worktree"));
    await rounds.look();
    await rounds.look();
    expect(reason()).toBe("its directory is damaged: worktree is a link, not a directory");
  });

  it("asks for no directory of cells that were never made, or are being destroyed", async () => {
    rig.create({ waitsForApproval: true });
    const cell = rig.idle({ id: "9ab24c11-1111-4222-8333-444455556666" });
    rig.lifecycle.destroy(cell, "owner");
    await rounds.look();
    await rounds.look();
    expect(said).toEqual([]);
  });

  it("asks for no directory of cells that lie on another runner, where one that is here is no stranger's", async () => {
    rig.idle();
    rig.registry.update(ID, { runner: "other" });
    rig.clearJobs();
    await rounds.look();
    await rounds.look();
    lay();
    await rounds.look();
    expect([reason(), rig.waiting(), said]).toEqual([null, [], []]);
  });

  it("tells nothing of a cell that was destroyed while others were looked at", async () => {
    rig.idle();
    await rounds.look();
    const standing = rig.registry.standing.bind(rig.registry);
    rig.registry.standing = (...asked) => {
      const page = standing(...asked);
      // As if another's turn had come between.
      if (page.length > 0 && asked[2] > 1) rig.db.sql.prepare("UPDATE cells SET state = 'destroyed'").run();
      return page;
    };
    rig.clearJobs();
    await rounds.look();
    expect([reason(), rig.waiting(), said]).toEqual([null, [], []]);
  });

  it("logs what is no cell of ours once, and touches nothing of it", async () => {
    const other = "7d0e9aa1-1111-4222-8333-444455556666";
    lay(other);
    writeFileSync(join(root, "notes.txt"), "mine");
    await rounds.look();
    await rounds.look();
    expect(said.map((one) => one.facts.what).sort()).toEqual([
      `${join(root, "notes.txt")}: a file`,
      `${other}: no cell of the registry`,
    ]);
    expect([existsSync(join(root, other)), existsSync(join(root, "notes.txt"))]).toEqual([true, true]);
  });

  it("looks on after the root was away", async () => {
    rig.idle();
    lay();
    renameSync(root, `${root}-away`);
    await rounds.look();
    await rounds.look();
    expect(said.map((one) => one.what)).toEqual(["the pit could not look; it looks again"]);
    renameSync(`${root}-away`, root);
    await rounds.look();
    expect(said.map((one) => one.what).at(-1)).toBe("the missions root can be looked at again");
  });
});
