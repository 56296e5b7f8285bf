import { LazarusError } from "../../errors.ts";
import { directoryError } from "../disk/directory.ts";
import { openDirectory } from "../disk/safe-files.ts";
import { makeReadable, readOpened } from "./make-readable.ts";
import { type Packed, type PackPlan, packCell } from "./pack.ts";

/**
 * The worker's side of sealing: packs these parts of a cell into its `archive/`. What may not be read is made
 * readable, and packed in a second try.
 * @throws LazarusError `disk-full`, `directory`, `over-limit`.
 */
export async function packParts(
  plan: Pick<PackPlan, "cellDir" | "parts" | "path" | "limits">,
): Promise<Extract<Packed, { denied: null }>> {
  const { cellDir, parts } = plan;
  try {
    const archive = await openDirectory(cellDir, "archive");
    const pack = async () => packCell(archive, { ...plan, modes: await readOpened(archive) });
    const first = await pack();
    if (first.denied === null) return first;
    await makeReadable(cellDir, parts);
    const second = await pack();
    if (second.denied === null) return second;
    const message = `sealing ${cellDir}: tar may not read all of it: ${second.denied}`;
    throw new LazarusError("directory", message, { retryable: true });
  } catch (error) {
    throw directoryError(error, `sealing ${cellDir}`);
  }
}
