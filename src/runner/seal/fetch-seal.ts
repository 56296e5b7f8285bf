import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { LazarusError } from "../../errors.ts";
import type { RunnerJob } from "../../protocol/runner-port.ts";
import type { SealPlace, SealRef } from "../../protocol/seal-place.ts";
import { syncDirectory } from "../../sync-directory.ts";
import type { Parts } from "../context.ts";
import { directoryError, pathsOf, prepareRoot, writeJson } from "../disk/directory.ts";
import { lendCell, lendFile } from "../disk/owner.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, inDirectory, openDirectory, readInside, writeWhole } from "../disk/safe-files.ts";
import { digestOf, type FileFacts, type Manifest, parseManifest, readManifest } from "./manifest.ts";

type Job = RunnerJob<"restore">;

/**
 * Fetches the seal that control keeps, where it does not lie here already: whole and of the right hashes,
 * aside, and then in its place.
 * @throws LazarusError `directory`, `disk-full`.
 */
export async function fetchSeal(parts: Parts, job: Job, signal: AbortSignal): Promise<void> {
  const { cellId, repository, stored } = job.payload;
  if (stored === null) return;
  if (stored.theirs !== null) {
    // Its tree may borrow what people pushed, and another runner's mirror may not have it.
    const group = job.payload.user?.groups[0] ?? null;
    await parts.mirrors.provide(repository, { ...stored.theirs, group }, signal);
    await parts.mirrors.keepTheirs(repository, cellId, stored.theirs.commit);
  }
  const here = await inDirectory(parts.cellDir(cellId), ["archive"], (archive) => readManifest(archive));
  if (here !== null && digestOf(here) === stored.digest) return;
  const { seals } = parts;
  if (seals === null || seals === undefined)
    throw new LazarusError("directory", "there is no way to where seals are kept", { retryable: true });
  const of: SealRef = { row: job.id, cellId };
  const text = await seals.manifest(of);
  const manifest = parseManifest(text);
  if (manifest === null || digestOf(manifest) !== stored.digest)
    throw new LazarusError("directory", "the seal that is kept of it is another than was handed over");
  const { missionsDir, limits } = parts.config;
  await prepareRoot(missionsDir, 0);
  await mustHaveRoom(missionsDir, manifest, limits.freeBytes);
  const aside = `.new-${cellId}`;
  try {
    await removeTree(missionsDir, aside);
    await mkdir(join(missionsDir, aside), { mode: 0o700 });
    await mkdir(join(missionsDir, aside, "archive"), { mode: 0o700 });
    await fill(join(missionsDir, aside), { seals, of, manifest, text, signal });
    // What lies there is of an earlier life: control keeps what came after it.
    await removeTree(missionsDir, cellId);
    await rename(join(missionsDir, aside), join(missionsDir, cellId));
    await syncDirectory(missionsDir);
  } catch (error) {
    await removeTree(missionsDir, aside).catch(() => {});
    if (signal.aborted) throw signal.reason;
    throw directoryError(error, `fetching the seal of cell ${cellId}`);
  }
}

async function mustHaveRoom(dir: string, manifest: Manifest, freeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const needed = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) + manifest.unpacked_bytes;
  if (bavail * bsize >= needed + freeBytes) return;
  const say = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new LazarusError(
    "disk-full",
    `bringing a cell back: ${say(needed + freeBytes)} are needed, ${say(bavail * bsize)} are free`,
    { retryable: true },
  );
}

async function fill(
  cellDir: string,
  from: {
    readonly seals: SealPlace;
    readonly of: SealRef;
    readonly manifest: Manifest;
    readonly text: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const archive = await openDirectory(cellDir, "archive");
  try {
    for (const facts of from.manifest.files) await fetchFile(archive, facts, from);
    await writeWhole(archive, "manifest.json", from.text);
    await archive.sync();
  } finally {
    await archive.close();
  }
}

async function fetchFile(
  archive: FileHandle,
  facts: FileFacts,
  { seals, of, signal }: { readonly seals: SealPlace; readonly of: SealRef; readonly signal: AbortSignal },
): Promise<void> {
  const body = await seals.fetch(of, facts.name);
  const file = await open(below(archive, facts.name), "wx", 0o600);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of body) {
      signal.throwIfAborted();
      bytes += (chunk as Buffer).length;
      if (bytes > facts.bytes) break;
      hash.update(chunk as Buffer);
      await file.writeFile(chunk as Buffer);
    }
    if (bytes !== facts.bytes || hash.digest("hex") !== facts.sha256)
      throw new LazarusError(
        "directory",
        `${facts.name} of the seal that is kept did not arrive as it was sealed`,
        {
          retryable: true,
        },
      );
    await file.sync();
  } finally {
    body.destroy();
    await file.close();
  }
}

const looseJson = z.record(z.string(), z.unknown());
const MOST_BYTES = 1024 ** 2;

/**
 * What a cell that was brought back says of its host is this host's: where it lies, whose it is, and the
 * mirror that its tree borrows from.
 */
export async function settleHere(parts: Parts, { payload }: Job): Promise<void> {
  const { cellId, repository, user } = payload;
  const paths = pathsOf(parts.cellDir(cellId));
  const info = [".git", "objects", "info"];
  await inDirectory(paths.worktree, info, async (directory) => {
    const borrowed = `${join(parts.mirrors.path(repository), "objects")}\n`;
    const read = await readInside(directory, "alternates", { end: "start", maxBytes: MOST_BYTES });
    if (read === null || read.text === borrowed) return;
    await writeWhole(directory, "alternates", borrowed);
    const at = { names: ["worktree", ...info], file: "alternates", mode: 0o640 };
    if (user !== null) await lendFile(paths, at, user);
  });
  await inDirectory(paths.config, [], async (directory) => {
    const read = await readInside(directory, "cell.json", { end: "start", maxBytes: MOST_BYTES });
    const known = looseJson.safeParse(parseJson(read?.text ?? ""));
    if (!known.success) return;
    const { worktree, artifacts, logs } = paths;
    const heartbeat = join(paths.state, "heartbeat.json");
    await writeJson(paths.cell, ["config"], "cell.json", {
      ...known.data,
      ...{ worktree, artifacts, heartbeat, logs },
    });
  });
  if (user === null) return;
  await lendCell(paths, user);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
