import { explain } from "../errors.ts";
import type { MissionUpdate } from "../protocol/shapes.ts";
import type { Parts } from "./context.ts";
import { isSpoiled, readJson, writeJson } from "./disk/directory.ts";

/**
 * Rewrites `meta/mission.json`; what we are not told stays as it is. Where an agent with our rights spoiled
 * `meta/`, that is logged: its cell is collected, sealed and destroyed all the same.
 * @throws LazarusError `directory`, `disk-full`.
 */
export async function writeMission(
  parts: Pick<Parts, "cellDir" | "log">,
  cellId: string,
  mission: MissionUpdate,
): Promise<void> {
  const cellDir = parts.cellDir(cellId);
  try {
    const before = (await readJson(cellDir, ["meta"], "mission.json")) ?? {};
    await writeJson(cellDir, ["meta"], "mission.json", { ...before, mission_id: cellId, ...mission });
  } catch (error) {
    if (!isSpoiled(error)) throw error;
    parts.log.warn({ cell: cellId, why: explain(error) }, "meta/mission.json could not be written");
  }
}
