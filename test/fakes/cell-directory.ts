import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toIso } from "../../src/clock.ts";
import { CONTRACT } from "../../src/runner/pit/pit-look.ts";

export const CELL_ID = "123e4567-e89b-12d3-a456-426614174000";

/** A whole cell by contract, as another program might have made it: its heartbeat is `ageMs` old at `now`. */
export function layCell(
  root: string,
  cell: { readonly id?: string; readonly status?: string; readonly now: number; readonly ageMs?: number },
): string {
  const id = cell.id ?? CELL_ID;
  const dir = join(root, id);
  for (const name of CONTRACT.directories) mkdirSync(join(dir, name), { recursive: true });
  const at = toIso(cell.now - (cell.ageMs ?? 1_000));
  const write = (path: string, value: unknown) =>
    writeFileSync(join(dir, path), `${JSON.stringify(value, null, 2)}\n`);
  write("meta/mission.json", { mission_id: id, created_at: at, status: cell.status ?? "active" });
  write("config/cell.json", { worktree: join(dir, "worktree") });
  write("state/heartbeat.json", { at, state: "running", by: "runner" });
  write("logs/daemon.log", { at, what: "made by a test" });
  return dir;
}
