import { type FileHandle, lstat, mkdir, rm } from "node:fs/promises";
import * as z from "zod";
import { explain, LazarusError, systemCode } from "../../errors.ts";
import type { WorkLimits } from "../confined.ts";
import { COLLECTED, directoryError, whatIs } from "../disk/directory.ts";
import { below, openDirectory } from "../disk/safe-files.ts";
import type { Git } from "../git/git.ts";
import { runWorker } from "../run-worker.ts";
import { type BundlePlan, bundleCell } from "./bundle.ts";
import { OPENED_NOTES } from "./make-readable.ts";
import {
  AGENTS_PARTS,
  clearFresh,
  commitSeal,
  fileFacts,
  PARTS,
  readManifest,
  settleSeal,
} from "./manifest.ts";

/** What a worker says of the files of a seal that it wrote. */
const packed = z.object({
  files: z.array(fileFacts),
  entries: z.int().nonnegative(),
  unpackedBytes: z.int().nonnegative(),
  leftOut: z.array(z.string()),
});

export interface SealPlan {
  readonly cellDir: string;
  /** When, RFC 3339. */
  readonly at: string;
  /** Names this sealing: asked for again, a seal that it made already is left as it is. */
  readonly seal: string;
  readonly bundle: BundlePlan;
  /** PATH for tar. */
  readonly path: string;
  readonly limits: WorkLimits;
  readonly signal: AbortSignal;
}

/**
 * Seals a cell into `archive/`: `cell.tar.gz`, `entries.jsonl.gz` (what is in it, with hashes),
 * `branch.bundle` and `manifest.json` with the hashes of all three, everything on disk when it returns.
 * Killed at any instant there is the seal of before or the new one. Answers the bytes of the archive.
 * @throws LazarusError `disk-full`, `directory`, `git`.
 */
export async function sealCell(git: Git, plan: SealPlan): Promise<number> {
  try {
    const cell = await openDirectory(plan.cellDir);
    try {
      await mkdir(below(cell, "archive"), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
      const archive = await openDirectory(plan.cellDir, "archive");
      try {
        return await fillArchive(git, plan, { cell, archive });
      } finally {
        await archive.close();
      }
    } finally {
      await cell.close();
    }
  } catch (error) {
    throw directoryError(error, `sealing ${plan.cellDir}`);
  }
}

async function fillArchive(
  git: Git,
  plan: SealPlan,
  at: { cell: FileHandle; archive: FileHandle },
): Promise<number> {
  const { archive } = at;
  await settleSeal(archive);
  await clearFresh(archive);
  const before = await readManifest(archive);
  if (before?.seal !== plan.seal) {
    try {
      const packed = await packWhatCanBe(plan, at.cell);
      const { file, bundle } = await bundleCell(git, archive, plan.bundle);
      await commitSeal(archive, {
        created_at: plan.at,
        seal: plan.seal,
        files: [...packed.files, file],
        entries: packed.entries,
        unpacked_bytes: packed.unpackedBytes,
        bundle,
        left_out: [...packed.leftOut],
      });
    } catch (error) {
      await clearFresh(archive);
      throw error;
    }
  }
  for (const name of [OPENED_NOTES, COLLECTED]) await rm(below(archive, name), { force: true });
  await archive.sync();
  await at.cell.sync();
  return (await lstat(below(archive, "cell.tar.gz"))).size;
}

type Done = z.infer<typeof packed>;

/**
 * A cell whose trees come to tar's limits is sealed without them: what was collected is in the bundle, and a
 * cell can always be closed.
 */
async function packWhatCanBe(plan: SealPlan, cell: FileHandle): Promise<Done> {
  const there = await Promise.all(PARTS.map((part) => whatIs(below(cell, part))));
  const parts = PARTS.filter((_, at) => there[at] !== "nothing");
  try {
    return await pack(plan, parts);
  } catch (error) {
    if (!(error instanceof LazarusError) || error.code !== "over-limit") throw error;
    const without = parts.filter((part) => AGENTS_PARTS.includes(part));
    const rest = parts.filter((part) => !AGENTS_PARTS.includes(part));
    const packed = await pack(plan, rest);
    const leftOut = without.map((part) => `${part}: ${explain(error)}`);
    return { ...packed, leftOut: [...leftOut, ...packed.leftOut] };
  }
}

function pack(plan: SealPlan, parts: readonly string[]): Promise<Done> {
  const { cellDir, path, limits, signal } = plan;
  const request = { cellDir, parts, path, limits };
  return runWorker("pack", { request, answer: packed, doing: `sealing ${cellDir}`, limits, signal });
}
