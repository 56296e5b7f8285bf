import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { inDirectory } from "../disk/safe-files.ts";
import { restoredFor } from "../seal/manifest.ts";
import { removeCell } from "./scrub.ts";

/** The cell lies elsewhere: what is left of it here goes, unless it was brought back here for a later run. */
export async function letGo(parts: Parts, { payload }: RunnerJob<"let-go">): Promise<Outcome> {
  const { cellId, repository, user, run } = payload;
  const restored = await inDirectory(parts.cellDir(cellId), ["archive"], restoredFor);
  if (restored === null || restored <= run)
    await removeCell(parts, { cellId, repository, user, handle: null });
  return NOTHING_TO_SAY;
}
