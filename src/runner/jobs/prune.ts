import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LazarusError } from "../../errors.ts";
import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { directoryError, whatIs } from "../disk/directory.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, inDirectory, openDirectory } from "../disk/safe-files.ts";
import { note } from "../journal.ts";
import { writeMission } from "../mission-file.ts";
import { clearRestored, readManifest, restoredFor, settleSeal } from "../seal/manifest.ts";
import { ASIDE } from "../seal/restore.ts";

/**
 * Empties a cell of what its seal holds, unless it was brought back from that seal for another run than the
 * one that came to nothing.
 */
export async function prune(parts: Parts, job: RunnerJob<"prune">): Promise<Outcome> {
  const { cellId, mission, run } = job.payload;
  const dir = parts.cellDir(cellId);
  if ((await whatIs(dir)) === "nothing") return NOTHING_TO_SAY;
  const found = await inDirectory(dir, ["archive"], async (archive) => {
    await settleSeal(archive);
    if ((await readManifest(archive)) === null) return "none";
    const restored = await restoredFor(archive);
    if (restored !== null && restored !== run) return "in use";
    await clearRestored(archive);
    return "whole";
  });
  if (found === "in use") return NOTHING_TO_SAY;
  if (found !== "whole") {
    throw new LazarusError("directory", `emptying cell ${cellId}: it has no seal, so nothing is thrown away`);
  }
  await removeTree(dir, ASIDE);
  for (const name of ["worktree", "home"]) await makeEmpty(dir, name);
  await note(parts, cellId, { what: "pruned" });
  await writeMission(parts, cellId, mission);
  return NOTHING_TO_SAY;
}

async function makeEmpty(cellDir: string, name: string): Promise<void> {
  try {
    const cell = await openDirectory(cellDir);
    try {
      await removeTree(`/proc/self/fd/${cell.fd}`, name);
      await mkdir(below(cell, name), { mode: 0o700 });
      await cell.sync();
    } finally {
      await cell.close();
    }
  } catch (error) {
    throw directoryError(error, `emptying ${join(cellDir, name)}`);
  }
}
