import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Thread } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";
import type { RunnerProcess } from "./runner-process.ts";

/** Each turn adds a file, and a line to what stays with the cell. */
const TURNS = `
echo turn >> "$LAZARUS_ARTIFACTS/turns"
n=$(wc -l < "$LAZARUS_ARTIFACTS/turns")
echo "$n" > "turn-$n.txt"; git add .; git commit -qm "turn $n"
`;
const NO_ROOM = "900000GB";

let fleet: FleetStage;
let second: RunnerProcess;
let issue: Thread;
let cellId: string;

beforeAll(async () => {
  fleet = await FleetStage.set({ seals: "./seals", limits: { free: NO_ROOM } }, { turns: TURNS });
  second = await fleet.make({ join: await fleet.add("r2"), agents: { turns: TURNS } });
});
afterAll(() => fleet?.strike());

const kept = () =>
  existsSync(sealsDir()) ? readdirSync(sealsDir()).filter((name) => name.startsWith(`${cellId}.`)) : [];
const sealsDir = () => join(fleet.stage.lazarus.dir, "seals");
const liesOn = (runner: RunnerProcess) => existsSync(join(runner.missionsDir, cellId));
const turnsOn = (runner: RunnerProcess) =>
  readFile(join(runner.missionsDir, cellId, "artifacts", "turns"), "utf8");

async function close(): Promise<void> {
  const { stage } = fleet;
  await stage.type(stage.lead, issue, `/lazarus close ${cellId.slice(0, 8)}`);
  await until("it is archived", async () => (await stage.status(cellId)).state === "archived");
}

/** Its seal is kept, and it is the one that was made last. */
async function isKept(before: readonly string[] = []): Promise<void> {
  await until("its seal is kept", () => kept().length === 1 && kept()[0] !== before[0]);
}

async function revive(turn: number): Promise<void> {
  const { stage } = fleet;
  await stage.type(stage.lead, issue, `/lazarus revive ${cellId.slice(0, 8)}`);
  const [draft] = await stage.server.pullRequests(stage.repo);
  await until(`turn ${turn} is published`, async () =>
    (await stage.server.diff(stage.repo, draft?.number ?? 0)).includes(`turn-${turn}.txt`),
  );
  await until("it is idle", async () => (await stage.status(cellId)).state === "idle");
}

describe("an archived cell whose seal control keeps", needs("redis-server"), () => {
  it("waits where there is no room for it, in words, and is kept once there is", async () => {
    const { stage } = fleet;
    issue = await stage.openIssue("It goes from host to host");
    await stage.type(stage.dev, issue, "/lazarus summon turns");
    await stage.card(issue, /\*\*turns is done\*\*[\s\S]*→ draft #\d+/);
    cellId = await stage.cellId(issue);
    await close();
    await stage.card(issue, /no room for a seal of [\s\S]*\(limits\.free\)/);
    expect([kept(), liesOn(fleet.runner)]).toEqual([[], true]);
    await stage.lazarus.end();
    await fleet.reconfigure({ seals: "./seals", limits: { free: "1MB" } });
    await stage.lazarus.serve();
    await isKept();
    await stage.card(issue, /^(?![\s\S]*no room for a seal)/);
  });

  it("comes back on another runner where its own is gone, and goes on there", async () => {
    await fleet.runner.end("SIGKILL");
    await second.start();
    await fleet.heard("r2");
    await revive(2);
    expect(await turnsOn(second)).toBe("turn\nturn\n");
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
    await close();
    await isKept(before);
    await until(
      "the runner is empty",
      async () => (await lazarus.cli("runner", "drain", "r2", "--empty")).code === 0,
    );
    expect([liesOn(second), liesOn(fleet.runner)]).toEqual([false, false]);
    await revive(3);
    expect(await turnsOn(fleet.runner)).toBe("turn\nturn\nturn\n");
  });

  it("outlives a runner that is forgotten", async () => {
    const { stage } = fleet;
    const before = kept();
    await close();
    await isKept(before);
    await fleet.runner.end("SIGKILL");
    const forgotten = await stage.lazarus.cli("runner", "forget", "r1");
    expect([forgotten.code, forgotten.stdout]).toEqual([0, expect.stringMatching(/1 archived cell kept in/)]);
    await stage.lazarus.cli("runner", "undrain", "r2");
    expect((await stage.status(cellId)).outcome).not.toBe("lost");
    await revive(4);
    expect(await turnsOn(second)).toBe("turn\nturn\nturn\nturn\n");
  });

  it("leaves no seal behind when it is destroyed", async () => {
    const { stage } = fleet;
    const before = kept();
    await close();
    await isKept(before);
    await stage.type(stage.lead, issue, `/lazarus destroy ${cellId.slice(0, 8)}`);
    await until("it is destroyed", async () => (await stage.status(cellId)).state === "destroyed");
    await until("nothing is kept", () => kept().length === 0);
  });
});
