import { addAbortSignal } from "node:stream";
import { LazarusError } from "../../errors.ts";
import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../../protocol/runner-port.ts";
import type { Parts } from "../context.ts";
import { inDirectory } from "../disk/safe-files.ts";
import { openSealed, readManifest, writtenManifest } from "../seal/manifest.ts";

/**
 * Hands the cell's seal over to where control keeps seals. What is there already is not sent again; the seal
 * here stays as it is.
 */
export async function store(parts: Parts, job: RunnerJob<"store">, signal: AbortSignal): Promise<Outcome> {
  const { cellId } = job.payload;
  const { seals } = parts;
  const doing = `handing over the seal of cell ${cellId}`;
  if (seals === null || seals === undefined)
    throw new LazarusError("directory", `${doing}: there is no way to where seals are kept`, {
      retryable: true,
    });
  const of = { row: job.id, cellId };
  const found = await inDirectory(parts.cellDir(cellId), ["archive"], async (archive) => {
    const manifest = await readManifest(archive);
    if (manifest === null) return null;
    const text = writtenManifest(manifest);
    for (const name of await seals.offer(of, text)) {
      const facts = manifest.files.find((one) => one.name === name);
      const file = facts === undefined ? null : await openSealed(archive, facts.name);
      if (facts === undefined || file === null)
        throw new LazarusError("directory", `${doing}: ${name} is missing`);
      try {
        const body = addAbortSignal(signal, file.createReadStream({ autoClose: false }));
        await seals.send(of, facts, body);
      } finally {
        await file.close();
      }
    }
    return (await seals.offer(of, text)).length === 0;
  });
  signal.throwIfAborted();
  if (found === null) throw new LazarusError("directory", `${doing}: it has no seal`);
  if (!found) throw new LazarusError("directory", `${doing}: it did not arrive whole`, { retryable: true });
  return NOTHING_TO_SAY;
}
