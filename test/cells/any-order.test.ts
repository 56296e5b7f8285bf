import fc from "fast-check";
import { expect, it } from "vitest";
import type { Run } from "../../src/cells/cell.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";
import { createWorld, IDS } from "../fakes/world.ts";

const PLACES = 2;

/** Its cell is being set up for it, or was just now. */
function isReady(run: Run | undefined): boolean {
  return run?.state === "admitted" && run.setup !== null;
}

/** What must hold at any moment. */
function faultsNow(rig: ControlRig): string[] {
  const { registry } = rig;
  const faults = IDS.flatMap((id) => {
    const cell = registry.cell(id);
    if (cell === null) return [];
    const runs = registry.runs(id);
    const open = runs.filter((run) => run.state !== "ended" && run.state !== "withdrawn");
    const state = open[0]?.state ?? "none";
    const isEnding = cell.state === "closing" || cell.closing !== null;
    const found: [boolean, string][] = [
      [open.length > 1, "two open runs"],
      [open.length === 1 && open[0]?.n !== runs.at(-1)?.n, "an open run that is not the last"],
      [cell.state === "destroyed" && open.length > 0, "a run of a destroyed cell"],
      [cell.state === "active" && state !== "running" && !isReady(open[0]), "active without a run"],
      [state === "running" && cell.state !== "active" && !isEnding, "a run in a cell that is not active"],
      [state === "waiting" && isEnding, "a run waits in a cell that closes"],
      [cell.state === "closing" && cell.closing === null, "closing for no reason"],
    ];
    return found.filter(([is]) => is).map(([, what]) => `${id}: ${what}`);
  });
  const busy = registry.openRuns(["admitted", "running"]).length;
  return busy > PLACES ? [...faults, `${busy} runs for ${PLACES} places`] : faults;
}

/** What must hold when nothing is left to be done. */
function faultsAtRest(rig: ControlRig): string[] {
  const { registry, clock } = rig;
  return IDS.flatMap((id) => {
    const cell = registry.cell(id);
    const last = registry.lastRun(id);
    if (cell === null || last === null) return [];
    const isRetry = last.state === "waiting" && (last.notBefore ?? 0) > clock.now();
    const isToBePublished = cell.harvest !== null && cell.harvest.tip !== cell.publishedTip;
    const isTold = cell.stuck !== null || cell.pushRefused !== null;
    const found: [boolean, string][] = [
      [last.state === "admitted" || last.state === "running", `its run is ${last.state} for ever`],
      [last.state === "waiting" && !isRetry, "its run waits for ever"],
      [cell.state === "closing" && !isTold, "closing for ever"],
      [cell.state === "idle" && !isRetry && isToBePublished && !isTold, "never published"],
    ];
    return found.filter(([is]) => is).map(([, what]) => `${id}: ${what}`);
  });
}

const million = () => fc.noBias(fc.nat(999_999));

it("whatever people, time and runners do, in any order, every cell comes to rest", async () => {
  // `gen` draws as the walk asks; a failure prints the seed and path that bring it back.
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (gen) => {
      const rig = createControl({ config: { limits: { cells: PLACES, ttl: "4h", keep: "30d" } } });
      try {
        const roll = () => gen(million) / 1_000_000;
        const { work, person, time, end } = createWorld(rig, roll);
        for (let step = 0; step < 150; step++) {
          const what = roll();
          if (what < 0.3) person();
          else if (what < 0.4) await time();
          else work();
          expect(faultsNow(rig)).toEqual([]);
        }
        for (let minute = 0; minute < 40; minute++) {
          while (work()) expect(faultsNow(rig)).toEqual([]);
          for (const id of IDS) end(id, 0);
          await time(60_000);
        }
        while (work());
        expect(faultsAtRest(rig)).toEqual([]);
      } finally {
        rig.remove();
      }
    }),
    // A walk that fails is made shorter for so long, and told with its seed.
    { numRuns: 6, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: true },
  );
}, 120_000);
