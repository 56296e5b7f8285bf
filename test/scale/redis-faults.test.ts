import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";

let fleet: FleetStage;
beforeAll(async () => {
  fleet = await FleetStage.set();
});
afterAll(() => fleet?.strike());

describe("a run goes on to its draft, in one process,", needs("redis-server"), () => {
  it("when Redis is emptied", async () => {
    const cell = await fleet.summon("Redis is emptied");
    await fleet.redis.ask("FLUSHALL");
    await fleet.goOn(cell);
  });

  it("when Redis is killed, and comes back empty", async () => {
    const { redis, stage } = fleet;
    const readyz = () => fetch(`${stage.lazarus.url}/readyz`);
    const cell = await fleet.summon("Redis is killed");
    await redis.kill();
    await writeFile(fleet.artifact(cell.cellId, "go"), "");
    await until("readyz says it", async () => (await (await readyz()).text()).includes("Redis at"));
    await redis.begin();
    await fleet.goOn(cell);
    await until("readyz is well again", async () => (await readyz()).status === 200);
  });

  it("when Redis stands still for some seconds", async () => {
    const cell = await fleet.summon("Redis stands still");
    await fleet.redis.ask("CLIENT PAUSE 4000 ALL");
    await fleet.goOn(cell);
  });
});
