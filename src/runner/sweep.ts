import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { explain, LazarusError, systemCode } from "../errors.ts";
import type { Parts } from "./context.ts";
import { whatIs } from "./disk/directory.ts";
import { removeTree, scrubCell } from "./disk/remove-tree.ts";

const OURS = /^\.(new|gone)-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/**
 * Removes what an earlier process left half-made or half-deleted, and quarantines of cells that are not
 * known.
 */
export async function sweep(parts: Parts, knownIds: readonly string[]): Promise<void> {
  const { missionsDir, dataDir } = parts.config;
  const tryTo = async (what: string, fn: () => Promise<void>) =>
    fn().catch((error: unknown) =>
      parts.log.warn(
        { what, why: explain(error) },
        "could not be cleaned up; it is tried again at the next start",
      ),
    );
  for (const name of await namesIn(missionsDir)) {
    const [, kind, id] = OURS.exec(name) ?? [];
    if (kind === "new") await tryTo(name, () => removeTree(missionsDir, name));
    if (kind === "gone" && id !== undefined) await tryTo(name, () => finishScrub(missionsDir, id));
  }
  const known = new Set(knownIds);
  await tryTo("control groups", () => parts.groups.sweep(known));
  for (const id of await namesIn(join(dataDir, "quarantine"))) {
    if (!known.has(id)) await tryTo(`quarantine ${id}`, () => parts.quarantine.remove(id));
  }
}

/**
 * What was renamed for its deletion is deleted; a cell of that id that is there all the same is another
 * matter.
 */
async function finishScrub(missionsDir: string, id: string): Promise<void> {
  if ((await whatIs(join(missionsDir, id))) === "nothing") return scrubCell(missionsDir, id);
  return removeTree(missionsDir, `.gone-${id}`);
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return [];
    throw new LazarusError("directory", `looking into ${dir}`, { cause: error, retryable: true });
  }
}
