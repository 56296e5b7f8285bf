import { describe, expect } from "vitest";
import { type ChaosRig, chaos, until } from "./rig.ts";

/**
 * Serves and kills again and again, until nothing is left to do: each time as soon as one of the jobs is over
 * that were there before, or, where there are none, as soon as any is. Only a cell's jobs count, not the
 * looks that each start puts: those would be over first each time, and a long job would never end.
 */
async function killAfterEachJob(rig: ChaosRig): Promise<number> {
  const done = () =>
    rig.query<{ n: number }>("SELECT count(*) AS n FROM jobs WHERE state = 'done'")[0]?.n ?? 0;
  const open = () => rig.openJobs().flatMap((job) => (job.lane.endsWith(rig.cell().id) ? [job.id] : []));
  const isOver = () => rig.openJobs().length === 0 && rig.cell().state !== "active";
  for (let kills = 0; ; kills++) {
    if (kills > 0 && isOver()) return kills;
    const [before, doneBefore] = [open(), done()];
    const isMore = () =>
      before.length === 0 ? done() > doneBefore : before.some((id) => !open().includes(id));
    await rig.serve({ ready: false });
    await until("one more job is done", () => isMore() || isOver());
    await rig.kill();
  }
}

describe("a server that is killed after every single job", () => {
  chaos("still brings a run to its end once", {}, async (rig) => {
    await rig.serve();
    const id = await rig.say("/lazarus summon allegro");
    await until("it was heard", () => rig.query("SELECT id FROM cells").length > 0);
    await rig.kill();
    expect(await killAfterEachJob(rig)).toBeGreaterThan(3);
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
    expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
  });

  chaos("still closes and destroys a cell once", {}, async (rig) => {
    await rig.serve();
    await rig.say("/lazarus summon allegro");
    await rig.comesTo({ state: "idle", outcome: "done" });
    for (const [command, state] of [
      ["/lazarus close", "archived"],
      ["/lazarus destroy", "destroyed"],
    ] as const) {
      const id = await rig.say(command);
      await until("it was heard", () => rig.reactions(id).length > 0);
      await rig.kill();
      await killAfterEachJob(rig);
      await rig.serve();
      await rig.comesTo({ state, replies: 1 });
      expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
    }
  });
});
