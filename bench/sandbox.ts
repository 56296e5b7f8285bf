import { existsSync, readFileSync, statSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Backend } from "../src/backends/backend.ts";
import { processBackend } from "../src/backends/process.ts";
import { sandboxBackend } from "../src/backends/sandbox/sandbox.ts";
import { createCellRig } from "../test/fakes/cell-rig.ts";
import { type Figure, median } from "./ground.ts";

const ROUNDS = 50;
/** Agents write the time as their first instruction. */
const STAMP = 'date +%s%N > "$HOME/began"';

/**
 * From the call of start to the agent's first instruction, in the sandbox without network against a plain
 * process; in turns.
 */
export async function sandboxStart(): Promise<Figure> {
  const backends = { plain: processBackend(), sandboxed: sandboxBackend() };
  const check = await backends.sandboxed.check();
  if (!check.ok) throw new Error(`the sandbox does not work here: ${check.why}; ${check.fix}`);
  const took = { plain: [] as number[], sandboxed: [] as number[] };
  for (let round = -3; round < ROUNDS; round++) {
    for (const kind of ["plain", "sandboxed"] as const) {
      const ms = await startOnce(backends[kind]);
      if (round >= 0) took[kind].push(ms);
    }
  }
  const [plain, sandboxed] = [median(took.plain), median(took.sandboxed)];
  return {
    name: "sandboxed start, ms more than plain (median of 50)",
    floor: `${plain.toFixed(1)} ms`,
    measured: `${sandboxed.toFixed(1)} ms (+${(sandboxed - plain).toFixed(1)} ms of 30)`,
    ratio: sandboxed / plain,
    reach: { atMost: (plain + 30) / plain },
  };
}

async function startOnce(backend: Backend): Promise<number> {
  const rig = createCellRig();
  try {
    const began = rig.path("home/allegro/began");
    const at = performance.timeOrigin + performance.now();
    const handle = await backend.start(rig.script(STAMP));
    while (!existsSync(began) || statSync(began).size === 0) await pause(1);
    const first = Number(readFileSync(began, "utf8")) / 1e6;
    await backend.stop(handle, 1_000);
    return first - at;
  } finally {
    rig.remove();
  }
}
