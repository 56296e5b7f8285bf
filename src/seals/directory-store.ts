import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { makePath } from "../make-path.ts";
import { digestOf, type FileFacts, type Manifest, parseManifest } from "../runner/seal/manifest.ts";
import { syncDirectory } from "../sync-directory.ts";
import { formatSize } from "../units.ts";
import type { Kept, SealStore } from "./seal-store.ts";

export interface DirectoryStoreOptions {
  readonly dir: string;
  /** What the files of one seal may have together. */
  readonly mostBytes: number;
  /** What must be left on the disk (limits.free). */
  readonly freeBytes: number;
}

const MANIFEST = "manifest.json";
const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const CELL = new RegExp(`^${UUID}$`);
const ENTRY = new RegExp(`^(?:\\.new-)?(${UUID})(?:\\.([0-9a-f]{32}))?$`);

/**
 * Seals in a directory: `<cell>.<digest>/` with the three files and the manifest. What is on its way lies in
 * `.new-<cell>/`, and gets its name once it is whole and on disk.
 */
export function createDirectoryStore({ dir, mostBytes, freeBytes }: DirectoryStoreOptions): SealStore {
  const busy = new Set<string>();

  const asideOf = (cellId: string) => join(dir, `.new-${mustBeCell(cellId)}`);
  const finalOf = (cellId: string, digest: string) =>
    join(dir, `${mustBeCell(cellId)}.${mustBeDigest(digest)}`);

  /** One at a time of a cell: its lane says so, and a runner need not be believed. */
  async function alone<T>(cellId: string, doing: string, work: () => Promise<T>): Promise<T> {
    if (busy.has(cellId))
      throw new LazarusError("directory", `${doing}: it is at work on this cell already`, {
        retryable: true,
      });
    busy.add(cellId);
    try {
      return await work();
    } catch (error) {
      throw storeError(error, `${doing} in ${dir} (seals in lazarus.yaml)`);
    } finally {
      busy.delete(cellId);
    }
  }

  /** Said before anything is sent. */
  async function mustHaveRoom(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(dir);
    if (bavail * bsize >= bytes + freeBytes) return;
    throw new LazarusError(
      "disk-full",
      `no room for a seal of ${formatSize(bytes)} in ${dir} (seals in lazarus.yaml): ${formatSize(bavail * bsize)} free, ${formatSize(freeBytes)} must stay (limits.free)`,
      { retryable: true },
    );
  }

  async function offered(cellId: string): Promise<{ text: string; manifest: Manifest } | null> {
    const text = await readFile(join(asideOf(cellId), MANIFEST), "utf8").catch(orNull);
    const manifest = text === null ? null : parseManifest(text);
    return text === null || manifest === null ? null : { text, manifest };
  }

  async function beginAnew(cellId: string, text: string): Promise<void> {
    makePath(dir, 0o700);
    await rm(asideOf(cellId), { recursive: true, force: true });
    await mkdir(asideOf(cellId), { mode: 0o700 });
    await writeSynced(join(asideOf(cellId), MANIFEST), text);
  }

  return {
    place: dir,
    offer: (cellId, text) =>
      alone(cellId, "keeping a seal", async () => {
        const manifest = mustFit(text, mostBytes);
        const digest = digestOf(manifest);
        const kept: Kept = { digest, bytes: bytesOf(manifest) };
        if ((await stat(finalOf(cellId, digest)).catch(orNull)) !== null) return { missing: [], kept };
        if ((await offered(cellId))?.text !== text) await beginAnew(cellId, text);
        const there = new Set(await readdir(asideOf(cellId)));
        const missing = manifest.files.filter(({ name }) => !there.has(name));
        await mustHaveRoom(bytesOf({ files: missing }));
        if (missing.length > 0) return { missing: missing.map(({ name }) => name), kept: null };
        await syncDirectory(asideOf(cellId));
        await rename(asideOf(cellId), finalOf(cellId, digest));
        await syncDirectory(dir);
        return { missing: [], kept };
      }),
    take: (cellId, name, body) =>
      alone(cellId, "keeping a seal", async () => {
        const facts = (await offered(cellId))?.manifest.files.find((one) => one.name === name);
        if (facts === undefined)
          throw new LazarusError("not-found", `the seal that was offered last has no ${name}`);
        const part = join(asideOf(cellId), `.${randomUUID()}.part`);
        try {
          await writeChecked(part, facts, body);
          await rename(part, join(asideOf(cellId), facts.name));
        } catch (error) {
          await rm(part, { force: true });
          throw error;
        }
      }),
    async manifest(cellId, digest) {
      const text = await readFile(join(finalOf(cellId, digest), MANIFEST), "utf8").catch(orNull);
      if (text === null) throw notKept(dir);
      return text;
    },
    async open(cellId, digest, name) {
      const text = await readFile(join(finalOf(cellId, digest), MANIFEST), "utf8").catch(orNull);
      const known = parseManifest(text ?? "")?.files.find((one) => one.name === name);
      if (known === undefined) throw notKept(dir);
      const path = join(finalOf(cellId, digest), known.name);
      const found = await stat(path).catch(orNull);
      if (found === null) throw notKept(dir);
      return { body: createReadStream(path), bytes: found.size };
    },
    async remove(cellId, but) {
      for (const entry of (await readdir(dir).catch(orNull)) ?? []) {
        const [, id, digest = null] = ENTRY.exec(entry) ?? [];
        const isOnItsWay = entry.startsWith(".new-") && but !== null;
        if (id === cellId && !isOnItsWay && (digest === null || digest !== but))
          await rm(join(dir, entry), { recursive: true, force: true });
      }
    },
    async cells() {
      const names = (await readdir(dir).catch(orNull)) ?? [];
      return [...new Set(names.flatMap((name) => ENTRY.exec(name)?.[1] ?? []))];
    },
  };
}

function mustBeCell(cellId: string): string {
  if (CELL.test(cellId)) return cellId;
  throw new LazarusError("not-found", "this is no id of a cell");
}

function mustBeDigest(digest: string): string {
  if (/^[0-9a-f]{32}$/.test(digest)) return digest;
  throw new LazarusError("not-found", "this is no digest of a seal");
}

function mustFit(text: string, mostBytes: number): Manifest {
  const manifest = parseManifest(text);
  if (manifest === null) throw new LazarusError("usage", "this is no manifest of a seal");
  const bytes = bytesOf(manifest);
  if (bytes <= mostBytes) return manifest;
  throw new LazarusError(
    "over-limit",
    `a seal of ${formatSize(bytes)} is not kept: at most twice limits.disk of the server, ${formatSize(mostBytes)}`,
  );
}

function bytesOf({ files }: Pick<Manifest, "files">): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

function notKept(dir: string): LazarusError {
  return new LazarusError(
    "directory",
    `the seal of this cell is not in ${dir}, where it was put: put it back there, or name the place where it is (seals in lazarus.yaml)`,
  );
}

/** Never more than was said, and nothing but what was sealed. */
async function writeChecked(path: string, facts: FileFacts, body: Readable): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      if (bytes > facts.bytes)
        throw new LazarusError("usage", `${facts.name} is larger than its manifest says`);
      hash.update(chunk as Buffer);
      await file.writeFile(chunk as Buffer);
    }
    if (bytes < facts.bytes)
      throw new LazarusError("directory", `${facts.name} did not arrive whole`, { retryable: true });
    if (hash.digest("hex") !== facts.sha256)
      throw new LazarusError("usage", `${facts.name} is not what its manifest says (its SHA-256 differs)`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function orNull(error: unknown): null {
  if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return null;
  throw error;
}

function storeError(error: unknown, doing: string): unknown {
  if (error instanceof LazarusError) return error;
  const isFull = ["ENOSPC", "EDQUOT"].includes(systemCode(error) ?? "");
  return isFull
    ? new LazarusError("disk-full", `${doing}: no space is left there`, { retryable: true, cause: error })
    : new LazarusError("directory", `${doing}: ${explain(error)}`, { retryable: true, cause: error });
}
