import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";
import type { RunnerProcess } from "./runner-process.ts";
import { TURNS, TurningCell } from "./turning-cell.ts";

const NO_ROOM = "900000GB";

let fleet: FleetStage;
let second: RunnerProcess;
let cell: TurningCell;

beforeAll(async () => {
  fleet = await FleetStage.set({ seals: "./seals", limits: { free: NO_ROOM } }, { turns: TURNS });
  second = await fleet.make({ join: await fleet.add("r2"), agents: { turns: TURNS } });
});
afterAll(() => fleet?.strike());

const kept = () =>
  existsSync(sealsDir()) ? readdirSync(sealsDir()).filter((name) => name.startsWith(`${cell.cellId}.`)) : [];
const sealsDir = () => join(fleet.stage.lazarus.dir, "seals");
const liesOn = (runner: RunnerProcess) => existsSync(join(runner.missionsDir, cell.cellId));
/** Its seal is kept, and it is the one that was made last. */
async function isKept(before: readonly string[] = []): Promise<void> {
  await until("its seal is kept", () => kept().length === 1 && kept()[0] !== before[0]);
}

async function revive(turn: number): Promise<void> {
  await cell.revive();
  await cell.isPublished(turn);
}

describe("an archived cell whose seal control keeps", needs("redis-server"), () => {
  it("waits where there is no room for it, in words, and is kept once there is", async () => {
    const { stage } = fleet;
    cell = await TurningCell.summon(fleet, "It goes from host to host");
    await cell.close();
    await stage.card(cell.issue, /no room for a seal of [\s\S]*\(limits\.free\)/);
    expect([kept(), liesOn(fleet.runner)]).toEqual([[], true]);
    await stage.lazarus.end();
    await fleet.reconfigure({ seals: "./seals", limits: { free: "1MB" } });
    await stage.lazarus.serve();
    await isKept();
    await stage.card(cell.issue, /^(?![\s\S]*no room for a seal)/);
  });

  it("comes back on another runner where its own is gone, and goes on there", async () => {
    await fleet.runner.end("SIGKILL");
    await second.start();
    await fleet.heard("r2");
    await revive(2);
    expect(await cell.turnsOn(second)).toBe(2);
  });

  it("leaves nothing on the runner that it left, once that is back", async () => {
    await fleet.runner.start();
    await fleet.heard();
    await until("the old directory is gone", () => !liesOn(fleet.runner));
    expect(liesOn(second)).toBe(true);
  });

  it("lets its runner be drained until it is empty", async () => {
    const { lazarus } = fleet.stage;
    const before = kept();
    await lazarus.cli("runner", "drain", "r2");
    await cell.close();
    await isKept(before);
    await until(
      "the runner is empty",
      async () => (await lazarus.cli("runner", "drain", "r2", "--empty")).code === 0,
    );
    expect([liesOn(second), liesOn(fleet.runner)]).toEqual([false, false]);
    await revive(3);
    expect(await cell.turnsOn(fleet.runner)).toBe(3);
  });

  it("outlives a runner that is forgotten", async () => {
    const { stage } = fleet;
    const before = kept();
    await cell.close();
    await isKept(before);
    await fleet.runner.end("SIGKILL");
    const forgotten = await stage.lazarus.cli("runner", "forget", "r1");
    expect([forgotten.code, forgotten.stdout]).toEqual([0, expect.stringMatching(/1 archived cell kept in/)]);
    await stage.lazarus.cli("runner", "undrain", "r2");
    expect((await stage.status(cell.cellId)).outcome).not.toBe("lost");
    await revive(4);
    expect(await cell.turnsOn(second)).toBe(4);
  });

  it("leaves no seal behind when it is destroyed", async () => {
    const before = kept();
    await cell.close();
    await isKept(before);
    await cell.destroy();
    await until("nothing is kept", () => kept().length === 0);
  });
});
