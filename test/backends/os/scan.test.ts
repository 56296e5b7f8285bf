import { type ChildProcess, spawn } from "node:child_process";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { Handle } from "../../../src/backends/backend.ts";
import { listProcesses, PROCESSES_A_TURN, processesOf } from "../../../src/backends/os/scan.ts";
import { processBackend } from "../../../src/backends/process.ts";
import { sandboxBackend } from "../../../src/backends/sandbox/sandbox.ts";
import { type CellRig, createCellRig } from "../../fakes/cell-rig.ts";
import { until } from "../../fakes/until.ts";
import { needs } from "../../machine.ts";

const CROWD = 300;
/** Each ignores TERM and starts others for ever; `nice`, since other tests want the machine too. */
const FORKERS = `renice -n 19 $$ >/dev/null; n=0
while [ $n -lt ${CROWD} ]; do sh -c 'trap "" TERM HUP INT; while :; do sleep 0.2; done' & n=$((n+1)); done
: >ready; trap "" TERM; while :; do sleep 0.1; done`;

describe("a crowd of processes", () => {
  const crowd: ChildProcess[] = [];
  afterEach(() => {
    for (const one of crowd.splice(0)) one.kill("SIGKILL");
  });

  it("is looked at a few in each turn of the event loop, however many there are", async () => {
    const cellId = crypto.randomUUID();
    for (let n = 0; n < CROWD; n++)
      crowd.push(spawn("sleep", ["600"], { env: { LAZARUS_CELL: cellId, PATH: "/usr/bin:/bin" } }));
    let [inTurn, most, turns] = [0, 0, 0];
    const next = async () => {
      [most, inTurn, turns] = [Math.max(most, inTurn), 0, turns + 1];
      await turn();
    };
    const all = await listProcesses(() => inTurn++ < 0, next);
    expect(all.length).toBeGreaterThan(CROWD);
    expect(Math.max(most, inTurn)).toBeLessThanOrEqual(PROCESSES_A_TURN);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(CROWD / PROCESSES_A_TURN));

    turns = 0;
    const found = await processesOf({ cellId, leader: null, byMarker: true }, next);
    expect(found).toHaveLength(CROWD);
    expect(turns).toBeGreaterThanOrEqual(Math.floor(CROWD / PROCESSES_A_TURN));
  });
});

describe("a crowd that forks for ever and ignores TERM", () => {
  const backends = { process: () => processBackend(), sandbox: () => sandboxBackend() };
  for (const [name, make] of Object.entries(backends)) {
    it(`is ended in ${name}, and others have their turns meanwhile`, needs(...wants(name)), async () => {
      const rig: CellRig = createCellRig();
      const backend = make();
      const handle: Handle = await backend.start(rig.script(FORKERS));
      try {
        await until(
          "they are all there",
          async () => (await backend.leftovers(rig.cellId, handle)).length > CROWD,
        );
        let [turns, isDone] = [0, false];
        const counting = (async () => {
          while (!isDone) {
            turns++;
            await turn();
          }
        })();
        expect(await backend.stop(handle, 0)).toEqual([]);
        isDone = true;
        await counting;
        expect(turns).toBeGreaterThan(CROWD / PROCESSES_A_TURN);
        expect(await backend.leftovers(rig.cellId, handle)).toEqual([]);
        expect(await backend.observe(handle)).toMatchObject({ kind: "exited", signal: "KILL" });
      } finally {
        await backend.stop(handle, 0);
        rig.remove();
      }
    });
  }
});

function wants(name: string): ["sandbox"] | [] {
  return name === "sandbox" ? ["sandbox"] : [];
}
