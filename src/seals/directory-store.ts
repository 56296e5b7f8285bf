import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { explain, LazarusError, systemCode } from "../errors.ts";
import { makePath } from "../make-path.ts";
import { digestOf, type FileFacts, type Manifest, parseManifest } from "../runner/seal/manifest.ts";
import { syncDirectory } from "../sync-directory.ts";
import { formatSize } from "../units.ts";
import {
  arriving,
  bytesOf,
  createReading,
  createTurns,
  damaged,
  MANIFEST,
  mustBeCell,
  mustBeDigest,
  mustFit,
  notKept,
  notOffered,
  PROBE,
  UUID,
} from "./seal-rules.ts";
import type { Kept, SealStore } from "./seal-store.ts";

export interface DirectoryStoreOptions {
  readonly dir: string;
  /** What the files of one seal may have together. */
  readonly mostBytes: number;
  /** What must be left on the disk (limits.free). */
  readonly freeBytes: number;
}

const ENTRY = new RegExp(`^(?:\\.new-)?(${UUID})(?:\\.([0-9a-f]{32}))?$`);

/**
 * Seals in a directory: `<cell>.<digest>/` with the three files and the manifest. What is on its way lies in
 * `.new-<cell>/`, and gets its name once it is whole and on disk.
 */
export function createDirectoryStore({ dir, mostBytes, freeBytes }: DirectoryStoreOptions): SealStore {
  const inTurn = createTurns();
  const reading = createReading(dir, (error) =>
    storeError(error, `reading a seal in ${dir} (seals in lazarus.yaml)`),
  );

  const asideOf = (cellId: string) => join(dir, `.new-${mustBeCell(cellId)}`);
  const finalOf = (cellId: string, digest: string) =>
    join(dir, `${mustBeCell(cellId)}.${mustBeDigest(digest)}`);

  async function trying<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return work().catch((error: unknown) => {
      throw storeError(error, `${doing} in ${dir} (seals in lazarus.yaml)`);
    });
  }
  const alone = <T>(cellId: string, doing: string, work: () => Promise<T>): Promise<T> =>
    trying(doing, () => inTurn(cellId, doing, work));

  /** The manifest of a seal that is kept. */
  async function keptManifest(cellId: string, digest: string): Promise<{ text: string; manifest: Manifest }> {
    const text = await readFile(join(finalOf(cellId, digest), MANIFEST), "utf8").catch(orNull);
    if (text === null) throw notKept(dir);
    const manifest = parseManifest(text);
    if (manifest === null || digestOf(manifest) !== digest)
      throw damaged(dir, `${MANIFEST} is that of another seal`);
    return { text, manifest };
  }

  /** Said before anything is sent. */
  async function mustHaveRoom(bytes: number, what = `a seal of ${formatSize(bytes)}`): Promise<void> {
    const { bavail, bsize } = await statfs(dir);
    if (bavail * bsize >= bytes + freeBytes) return;
    throw new LazarusError(
      "disk-full",
      `no room for ${what} in ${dir} (seals in lazarus.yaml): ${formatSize(bavail * bsize)} free, ${formatSize(freeBytes)} must stay (limits.free)`,
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
        // Of a process that was killed.
        for (const name of there) if (name.endsWith(".part")) await rm(join(asideOf(cellId), name));
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
        if (facts === undefined) throw notOffered(name);
        const part = join(asideOf(cellId), `.${randomUUID()}.part`);
        try {
          await writeChecked(part, facts, body);
          await rename(part, join(asideOf(cellId), facts.name));
        } catch (error) {
          await rm(part, { force: true });
          throw error;
        }
      }),
    manifest: async (cellId, digest) => (await keptManifest(cellId, digest)).text,
    async open(cellId, digest, name) {
      const { manifest } = await keptManifest(cellId, digest);
      const facts = manifest.files.find((one) => one.name === name);
      if (facts === undefined) throw notKept(dir);
      const path = join(finalOf(cellId, digest), facts.name);
      const found = await stat(path).catch(orNull);
      if (found === null) throw notKept(dir);
      const tag = `${found.ino} ${found.mtimeMs} ${found.size}`;
      return reading.open({ path, tag, bytes: found.size, read: async () => createReadStream(path) }, facts);
    },
    async remove(cellId, but) {
      for (const entry of (await readdir(dir).catch(orNull)) ?? []) {
        const [, id, digest = null] = ENTRY.exec(entry) ?? [];
        const isOnItsWay = entry.startsWith(".new-") && but !== null;
        if (id === cellId && !isOnItsWay && (digest === null || digest !== but))
          await rm(join(dir, entry), { recursive: true, force: true });
      }
    },
    async held() {
      const held = new Map<string, (string | null)[]>();
      for (const entry of (await readdir(dir).catch(orNull)) ?? []) {
        const [, id, digest = null] = ENTRY.exec(entry) ?? [];
        if (id !== undefined) held.set(id, [...(held.get(id) ?? []), digest]);
      }
      return held;
    },
    probe: () =>
      trying("trying to keep something", async () => {
        makePath(dir, 0o700);
        const path = join(dir, `.try-${randomUUID()}`);
        try {
          await writeSynced(path, PROBE);
          if ((await readFile(path, "utf8")) !== PROBE) throw new Error("what was written is not read");
        } finally {
          await rm(path, { force: true });
        }
        await mustHaveRoom(0, "seals");
        return [];
      }),
  };
}

async function writeChecked(path: string, facts: FileFacts, body: Readable): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    for await (const chunk of arriving(body, facts)) await file.writeFile(chunk);
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
