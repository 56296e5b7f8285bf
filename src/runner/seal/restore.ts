import { spawn } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, mkdir, open, statfs } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import * as z from "zod";
import type { CellUser } from "../../backends/backend.ts";
import { started } from "../../backends/os/started.ts";
import { explain, LazarusError, systemCode } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { WorkLimits } from "../confined.ts";
import { directoryError, whatIs } from "../disk/directory.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, inDirectory, isAbsent, openDirectory } from "../disk/safe-files.ts";
import { runWorker } from "../run-worker.ts";
import { pathOfLine } from "./entries.ts";
import {
  AGENTS_PARTS,
  damageOf,
  type Manifest,
  openSealed,
  PARTS,
  readManifest,
  restoredFor,
  settleSeal,
  writeRestored,
} from "./manifest.ts";
import { moveIntoPlace, replace, shutAgain } from "./move-into-place.ts";
import { readTar } from "./tar/read.ts";
import { damaged, type OwnerOf, type Shut, Unpacker } from "./unpack.ts";

export interface RestorePlan {
  readonly cellDir: string;
  /** The run that the cell is brought back for: asked for again, it is found done. */
  readonly run: number;
  /** Whose worktree, home and artifacts are; null: ours. */
  readonly user: CellUser | null;
  /** What must be left on the file system besides what is unpacked. */
  readonly freeBytes: number;
  /** PATH for sync. */
  readonly path: string;
  /** Of the child that works through the archive. */
  readonly limits: WorkLimits;
  readonly signal: AbortSignal;
  readonly log: Pick<Log, "warn">;
}

/** What a worker needs of it. */
type Request = Omit<RestorePlan, "signal" | "limits" | "log">;

/** Where an archive is unpacked, below its cell. */
export const ASIDE = ".restore";
/**
 * What only the seal has after a cell was emptied. Of the rest, which stays in an archived cell, it gives
 * back what is missing.
 */
const REPLACED: readonly string[] = ["worktree", "home"];

/**
 * Brings an archived cell back from its seal: the hashes are checked, everything is unpacked aside and
 * compared with the list of the seal, and only then put in its place. Killed at any instant it can be asked
 * for again. Answers how many entries there were.
 * @throws LazarusError `directory`, not retryable, naming what of the archive is damaged: then nothing was
 * changed; else `directory` or `disk-full`.
 */
export async function restoreCell({ signal, limits, log, ...request }: RestorePlan): Promise<number> {
  const doing = `restoring ${request.cellDir}`;
  try {
    return await runWorker("restore", { request, answer: z.int().nonnegative(), doing, limits, signal });
  } catch (error) {
    // Whoever asks again clears it away first: that it cannot be done now never hides what went wrong.
    await inDirectory(request.cellDir, [], (cell) => removeTree(`/proc/self/fd/${cell.fd}`, ASIDE)).catch(
      (left: unknown) =>
        log.warn({ cell: request.cellDir, why: explain(left) }, "what was unpacked aside is left"),
    );
    throw error;
  }
}

/** The worker's side of it. */
export async function restoreHere(plan: Request): Promise<number> {
  const opened: FileHandle[] = [];
  const openPart = async (missing: string, ...names: string[]) => {
    const handle = await openDirectory(plan.cellDir, ...names).catch((error: unknown) => {
      throw isAbsent(error) ? damaged(missing) : error;
    });
    opened.push(handle);
    return handle;
  };
  try {
    const cell = await openPart("the cell's directory is gone");
    const archive = await openPart("archive is missing", "archive");
    await settleSeal(archive);
    const manifest = await readManifest(archive);
    if (manifest === null) throw damaged("manifest.json is missing, or cannot be read");
    const damage = await damageOf(archive, manifest);
    if (damage.length > 0) throw damaged(damage.join("; "));
    if ((await restoredFor(archive)) === plan.run) return manifest.entries ?? 0;
    await checkSpace(plan, manifest);
    return await bringBack({ cell, archive }, manifest, plan);
  } catch (error) {
    if (systemCode(error)?.startsWith("Z_") === true) throw damaged("cell.tar.gz cannot be decompressed");
    throw directoryError(error, `restoring ${plan.cellDir}`);
  } finally {
    for (const handle of opened) await handle.close();
  }
}

async function checkSpace(plan: Request, manifest: Manifest): Promise<void> {
  const space = await statfs(plan.cellDir);
  const needed = manifest.unpacked_bytes + plan.freeBytes;
  if (space.bavail * space.bsize >= needed) return;
  const say = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  if (space.blocks * space.bsize < needed)
    throw new LazarusError("directory", `restoring a cell: it needs ${say(needed)}, more than its disk has`);
  throw new LazarusError(
    "disk-full",
    `restoring a cell: ${say(needed)} are needed, ${say(space.bavail * space.bsize)} are free`,
    { retryable: true },
  );
}

async function bringBack(
  { cell, archive }: { cell: FileHandle; archive: FileHandle },
  manifest: Manifest,
  plan: Request,
): Promise<number> {
  const here = `/proc/self/fd/${cell.fd}`;
  await removeTree(here, ASIDE);
  await mkdir(below(cell, ASIDE), { mode: 0o700 });
  const aside = await open(below(cell, ASIDE), "r");
  try {
    const { user } = plan;
    const ownerOf: OwnerOf = (part) => (user !== null && AGENTS_PARTS.includes(part) ? user : null);
    const { entries, shut } = await unpack({ archive, aside }, { manifest, ownerOf });
    if ((await whatIs(below(aside, "worktree"))) === "nothing")
      throw damaged(`it holds no worktree (${manifest.left_out[0] ?? "none was there"})`);
    for (const part of PARTS) {
      if (REPLACED.includes(part)) await replace(cell, aside, part);
      else await moveIntoPlace(cell, aside, Buffer.from(part));
    }
    await shutAgain(cell, shut);
    await removeTree(here, ASIDE);
    await syncFileSystem(plan);
    await writeRestored(archive, plan.run);
    return entries;
  } finally {
    await aside.close();
  }
}

async function unpack(
  { archive, aside }: { archive: FileHandle; aside: FileHandle },
  what: { manifest: Manifest; ownerOf: OwnerOf },
): Promise<{ entries: number; shut: readonly Shut[] }> {
  const lines = what.manifest.entries === null ? null : readLines(decompress(archive, "entries.jsonl.gz"));
  const unpacker = new Unpacker(aside, what.ownerOf);
  let entries = 0;
  try {
    for await (const member of readTar(decompress(archive, "cell.tar.gz"))) {
      const line = lines === null ? null : await lines.next();
      if (line?.done === true) throw damaged("it holds more than the list of what was sealed");
      await unpacker.add(member, line?.value ?? null);
      entries++;
    }
    const left = await lines?.next();
    if (left !== undefined && left.done !== true) throw damaged(`${pathOfLine(left.value)} is missing`);
    if (what.manifest.entries !== null && entries !== what.manifest.entries)
      throw damaged(`it holds ${entries} entries instead of ${what.manifest.entries}`);
    await unpacker.end();
    return { entries, shut: unpacker.shut };
  } finally {
    await unpacker.close();
    await lines?.return(undefined);
  }
}

async function* decompress(archive: FileHandle, name: string): AsyncGenerator<Buffer, void> {
  const file = await openSealed(archive, name);
  if (file === null) throw damaged(`${name} is missing`);
  try {
    const read = file.createReadStream({ autoClose: false, highWaterMark: READ_BYTES });
    const gunzip = createGunzip({ chunkSize: READ_BYTES });
    // Where one of them fails, the reader below is told.
    pipeline(read, gunzip, () => {});
    yield* gunzip as AsyncIterable<Buffer>;
  } finally {
    await file.close();
  }
}

const READ_BYTES = 128 * 1024;
const MOST_LINE_BYTES = 4 * 1024 ** 2;

async function* readLines(bytes: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let begin = 0;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a, begin)) {
      yield rest.toString("utf8", begin, end);
      begin = end + 1;
    }
    rest = rest.subarray(begin);
    if (rest.length > MOST_LINE_BYTES) throw damaged("the list of what was sealed cannot be read");
  }
  if (rest.length > 0) throw damaged("the list of what was sealed ends in the middle");
}

/**
 * What was unpacked is on disk before anybody is told: one call for all of it, since a hundred thousand files
 * each for themselves take minutes.
 */
async function syncFileSystem(plan: Request): Promise<void> {
  const doing = `restoring ${plan.cellDir}`;
  const env = { PATH: plan.path, LC_ALL: "C" };
  const sync = spawn("sync", ["-f", plan.cellDir], { env, stdio: ["ignore", "ignore", "pipe"] });
  const child = started(sync, doing);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, 1_000);
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  throw new LazarusError("directory", `${doing}: sync exited ${code}: ${said.trim()}`, { retryable: true });
}
