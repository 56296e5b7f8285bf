import { afterAll, beforeAll, describe, it } from "vitest";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";

let fleet: FleetStage;
beforeAll(async () => {
  fleet = await FleetStage.set();
});
afterAll(() => fleet?.strike());

describe("a run goes on to its draft, in one process,", needs("redis-server"), () => {
  it("when its runner is killed and started again", async () => {
    const { stage, runner } = fleet;
    const cell = await fleet.summon("The runner is killed");
    await runner.end("SIGKILL");
    await stage.card(cell.issue, /Its runner r1 has not been heard since/);
    await runner.start();
    await fleet.heard();
    await stage.card(cell.issue, /^(?![\s\S]*has not been heard)/);
    await fleet.goOn(cell);
  });

  it("when it ends while its runner is away", async () => {
    const cell = await fleet.summon("It ends alone");
    await fleet.runner.end("SIGKILL");
    await fleet.endAlone(cell);
    await fleet.runner.start();
    await fleet.goOn(cell);
  });

  it("when control is killed, and started again", async () => {
    const { lazarus } = fleet.stage;
    const cell = await fleet.summon("Control is killed");
    await lazarus.end("SIGKILL");
    await lazarus.serve();
    await fleet.heard();
    await fleet.goOn(cell);
  });

  it("when control is killed while work is said to be done", async () => {
    const { lazarus } = fleet.stage;
    const cell = await fleet.summon("Control is killed at the end");
    await lazarus.end("SIGKILL");
    await fleet.endAlone(cell);
    await lazarus.serve();
    await fleet.goOn(cell);
  });
});
