import { decide } from "../src/cells/steps/decide.ts";
import { createControl, ended, harvest, ID, started } from "../test/fakes/control-rig.ts";
import type { Figure } from "./ground.ts";

const TURNS = 20;
const CALLS = 100_000;
const MOST_MS = 0.1;

/** What follows for a cell that has had 20 turns, against the tenth of a millisecond that it may take. */
export async function decideAfterTurns(): Promise<Figure> {
  const rig = createControl();
  rig.active();
  for (let n = 1; n <= TURNS; n++) {
    if (n > 1) {
      rig.lifecycle.rerun(rig.cell(), "allegro", { id: null, login: "operator" });
      rig.report("run-started", started(ID, n, rig.clock.now()));
    }
    rig.report("run-ended", ended(ID, n, rig.clock.now()));
    rig.report("collected", { cellId: ID, run: n, harvest: harvest({}) });
  }
  const [cell, last] = [rig.cell(), rig.registry.lastUnwithdrawnRun(ID)];
  const beganAt = performance.now();
  for (let n = 0; n < CALLS; n++) decide(cell, last);
  const eachMs = (performance.now() - beganAt) / CALLS;
  rig.remove();
  return {
    name: `decide, a cell with ${TURNS} turns`,
    floor: `${MOST_MS} ms`,
    measured: `${eachMs.toFixed(5)} ms`,
    ratio: eachMs / MOST_MS,
    reach: { atMost: 1 },
  };
}
