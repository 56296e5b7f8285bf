import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "../src/cells/registry/registry.ts";
import { systemClock } from "../src/clock.ts";
import { openDb } from "../src/store/db.ts";
import { newCell } from "../test/fakes/control-rig.ts";
import { machineText } from "./words.ts";

/** The id of the n-th cell: spread over the whole range, as random ones are. */
export function idOf(n: number): string {
  const hex = ((n * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, "0");
  return `${hex}-1111-4222-8333-${n.toString(16).padStart(12, "0")}`;
}

/** Writes so many cells into a registry below `dir`, each with a run; `state` is where they all are. */
export function fillRegistry(
  dir: string,
  cells: number,
  each: (n: number) => { readonly handle: Record<string, unknown>; readonly logPath: string } | null,
): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const db = openDb(join(dir, "lazarus.db"));
  const registry = new Registry(db, systemClock);
  const requester = { id: 3, login: "dev" };
  try {
    db.transaction(() => {
      for (let n = 1; n <= cells; n++) {
        const id = idOf(n);
        const brief = machineText(2_000);
        registry.insert(
          newCell(Date.now(), { id, number: n, brief, branch: `lazarus/${id}` }),
          [{ name: "stamp", kind: "bot", role: "executor" }],
          "summoned by dev",
        );
        const run = { cellId: id, agent: "stamp", role: "executor", requester, state: "admitted" } as const;
        registry.addRun(run);
        const running = each(n);
        const move = { who: "dev", why: "working: stamp" };
        registry.move(id, { from: "proposed", to: "active", ...move });
        if (running !== null)
          registry.updateRun(id, 1, { state: "running", startedAt: Date.now(), ...running });
        else {
          registry.updateRun(id, 1, {
            state: "ended",
            startedAt: Date.now(),
            endedAt: Date.now(),
            collectedAt: Date.now(),
            code: 0,
          });
          registry.move(id, { from: "active", to: "idle", who: "stamp", why: "exit 0" });
        }
      }
    });
  } finally {
    db.close();
  }
}
