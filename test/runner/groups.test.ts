import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CellGroups, noGroups } from "../../src/backends/os/groups/cell-groups.ts";
import { findGroups } from "../../src/backends/os/groups/find-groups.ts";
import { processBackend } from "../../src/backends/process.ts";
import { exitOf } from "../../src/cells/exit.ts";
import { systemClock } from "../../src/clock.ts";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

let rig: RunnerRig;
let base: string;
let groups: CellGroups;

beforeAll(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "one\n" });
  groups = await findGroups(rig.data);
});
afterAll(() => rig.remove());

function restart(): void {
  rig.restart({ groups, backends: new Map([["process", processBackend(systemClock, groups)]]) });
}

const MB = 1024 ** 2;
const limits = {
  ...{ runMs: 60_000, memoryBytes: 100 * MB, processes: 100, logBytes: MB, fileBytes: 10_000 * MB },
  ...{ quietMs: 1_000_000, stalledMs: 1_000_000, costUsd: 0, tokens: 0 },
};
const GREEDY = `exec perl -e 'my $mb = "x" x 1048576; my @all; fork; for (1..90) { push @all, $mb . $_ } sleep 1; exit 3'`;

it(
  "tells a run that came to its own memory from one that the machine killed",
  needs("control groups"),
  async () => {
    restart();
    rig.agent(GREEDY, { limits });
    const cell = rig.spec(base);
    const run = await rig.runToEnd(cell);
    const { id: cellId, repository, user, branch, baseCommit } = cell;
    await rig.perform("collect", {
      ...{ cellId, run: 1, repository, user, agent: "allegro", branch, baseCommit, endedAt: null },
      ...{
        seams: [],
        fork: null,
        secrets: [],
        asked: null,
        untouched: [],
        handle: rig.said("run-started").at(-1)?.handle ?? null,
      },
    });
    const harvest = rig.said("collected").at(-1)?.harvest;
    if (harvest === undefined) throw new Error("nothing was collected");
    expect(harvest.signs).toMatchObject({ isOverMemory: true, isOutOfMemory: false });
    const ended = { ...run, code: null, signal: "KILL", stopped: null, stopCause: null, isAutomatic: false };
    expect(exitOf({ run: ended, preset: null, harvest, isNew: false })).toMatchObject({
      class: "over-limit",
      why: "over its limit of memory (limits.memory)",
    });
  },
);

it(
  "keeps a group no longer than its run, however that ends and whoever ends it",
  needs("control groups"),
  async () => {
    restart();
    rig.agent("exit 0", { limits });
    const short = rig.spec(base);
    await rig.runToEnd(short);
    await rig.collect(short);
    expect(groups.isThere(short.id)).toBe(false);

    rig.agent(": >ready; exec sleep 600", { limits });
    const long = rig.spec(base);
    await rig.start(long);
    await until("it works", () => existsSync(`${rig.missions}/${long.id}/worktree/ready`));
    expect(groups.isThere(long.id)).toBe(true);
    // Another process of ours, as after kill -9.
    groups = await findGroups(rig.data);
    restart();
    await rig.runner.sweep([long.id]);
    expect(groups.members(long.id).size).toBe(1);
    await rig.perform("stop", { cellId: long.id, run: 1, user: long.user, handle: null, why: "enough" });
    expect(rig.said("run-ended").at(-1)?.leftovers).toEqual([]);
    expect(groups.isThere(long.id)).toBe(false);
    expect(noGroups().isThere(long.id)).toBe(false);
  },
);
