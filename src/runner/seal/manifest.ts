import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import * as z from "zod";
import { systemCode } from "../../errors.ts";
import { entriesOf } from "../disk/entries-of.ts";
import { removeTree } from "../disk/remove-tree.ts";
import { below, isAbsent, readInside, writeWhole } from "../disk/safe-files.ts";

/** The files of a seal besides the manifest that names them. */
export const SEALED_FILES = ["cell.tar.gz", "branch.bundle", "entries.jsonl.gz"] as const;
export type SealedFile = (typeof SEALED_FILES)[number];

export const fileFacts = z.object({
  name: z.enum(SEALED_FILES),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const manifestShape = z.object({
  created_at: z.string(),
  /** Which sealing made it: a later one makes a seal of its own. */
  seal: z.string().nullable().default(null),
  files: z.array(fileFacts),
  /** How many lines the list of entries has; null: a seal of before there was one. */
  entries: z.int().nonnegative().nullable().default(null),
  /** Bytes of all files when they are unpacked. */
  unpacked_bytes: z.int().nonnegative().default(0),
  /** What is in the bundle, and why it is not all there is. */
  bundle: z
    .object({ of: z.enum(["worktree", "last run", "base"]), why: z.string().nullable() })
    .nullable()
    .default(null),
  /** What no archive can hold: sockets, fifos, devices; the first hundred of them. */
  left_out: z.array(z.string()).default([]),
});

/** `archive/manifest.json`. */
export type Manifest = z.infer<typeof manifestShape>;
export type FileFacts = z.infer<typeof fileFacts>;

const MANIFEST = "manifest.json";
/**
 * A manifest under this name says that every `.new` file it names is whole and on disk: from then on the new
 * seal is the one.
 */
const COMMITTED = "manifest.json.new";
const RESTORED = "restored.json";
const MOST_BYTES = 1024 ** 2;

/** The manifest of an opened `archive/`; null where it is missing or is none. */
export async function readManifest(archive: FileHandle, name: string = MANIFEST): Promise<Manifest | null> {
  const read = await readInside(archive, name, { end: "start", maxBytes: MOST_BYTES });
  const parsed = manifestShape.safeParse(parseJson(read?.text ?? ""));
  return parsed.success ? parsed.data : null;
}

/** A manifest as it crosses to where seals are kept; null where it is none, or names a file twice. */
export function parseManifest(text: string): Manifest | null {
  if (Buffer.byteLength(text) > MOST_BYTES) return null;
  const parsed = manifestShape.safeParse(parseJson(text));
  if (!parsed.success) return null;
  const names = parsed.data.files.map(({ name }) => name);
  return new Set(names).size === names.length ? parsed.data : null;
}

/** As it is written. */
export function writtenManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** By what a seal is known, wherever it lies. */
export function digestOf(manifest: Manifest): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex").slice(0, 32);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The name under which a file of the next seal is written. */
export function freshName(name: SealedFile): string {
  return `${name}.new`;
}

/**
 * Puts a new seal, whose files lie there under their fresh names and are on disk, in the place of the old
 * one. Killed in the middle, `settleSeal` goes on.
 */
export async function commitSeal(archive: FileHandle, manifest: Manifest): Promise<void> {
  await archive.sync();
  await writeWhole(archive, COMMITTED, writtenManifest(manifest));
  await settleSeal(archive);
}

/**
 * Ends what a killed sealing had decided: the new seal takes the old one's place. What was not whole yet is
 * left alone.
 */
export async function settleSeal(archive: FileHandle): Promise<void> {
  const manifest = await readManifest(archive, COMMITTED);
  if (manifest === null) return;
  for (const { name } of manifest.files) {
    await rename(below(archive, freshName(name)), below(archive, name)).catch((error: unknown) => {
      if (systemCode(error) !== "ENOENT") throw error;
    });
  }
  for (const name of SEALED_FILES)
    if (manifest.files.every((file) => file.name !== name)) await rm(below(archive, name), { force: true });
  await rm(below(archive, RESTORED), { force: true });
  await archive.sync();
  await rename(below(archive, COMMITTED), below(archive, MANIFEST));
  await archive.sync();
}

/** Throws away what a sealing that never became whole left behind. */
export async function clearFresh(archive: FileHandle): Promise<void> {
  for await (const entry of entriesOf(archive)) {
    const name = entry.name.toString();
    if (/\.(new|tmp)$/.test(name) && name !== COMMITTED)
      await removeTree(`/proc/self/fd/${archive.fd}`, name);
  }
}

const restoredShape = z.object({ run: z.int() });

/**
 * Writes down that the cell was brought back from this seal for that run: from then on there is more in the
 * cell than in the seal.
 */
export async function writeRestored(archive: FileHandle, run: number): Promise<void> {
  await writeWhole(archive, RESTORED, `${JSON.stringify({ run }, null, 2)}\n`);
}

/** The run for which the cell was brought back from this seal; null: it was not. */
export async function restoredFor(archive: FileHandle): Promise<number | null> {
  const read = await readInside(archive, RESTORED, { end: "start", maxBytes: MOST_BYTES });
  const parsed = restoredShape.safeParse(parseJson(read?.text ?? ""));
  return parsed.success ? parsed.data.run : null;
}

/** What was brought back is about to be thrown away again. */
export async function clearRestored(archive: FileHandle): Promise<void> {
  await rm(below(archive, RESTORED), { force: true });
  await archive.sync();
}

/** Says of each file of a seal what is wrong with it; none: all are as they were written. */
export async function damageOf(archive: FileHandle, manifest: Manifest): Promise<string[]> {
  const wanted: SealedFile[] = [
    "cell.tar.gz",
    ...(manifest.entries === null ? [] : (["entries.jsonl.gz"] as const)),
  ];
  const damage = wanted
    .filter((name) => manifest.files.every((file) => file.name !== name))
    .map((name) => `manifest.json does not name ${name}`);
  for (const facts of manifest.files) {
    const seen = await measureFile(archive, facts.name);
    if (seen === null) damage.push(`${facts.name} is missing`);
    else if (seen.bytes !== facts.bytes)
      damage.push(`${facts.name} has ${seen.bytes} bytes instead of ${facts.bytes}`);
    else if (seen.sha256 !== facts.sha256)
      damage.push(`${facts.name} is not what was sealed (its SHA-256 differs)`);
  }
  return damage;
}

/** Size and hash of a file of the seal; null where it is missing or no regular file. */
async function measureFile(archive: FileHandle, name: SealedFile): Promise<Omit<FileFacts, "name"> | null> {
  const file = await openSealed(archive, name);
  if (file === null) return null;
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of file.createReadStream({ autoClose: false, highWaterMark: READ_BYTES })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}

const READ_BYTES = 512 * 1024;

/** Opens a file of the seal for reading; null where it is missing or no regular file. */
export async function openSealed(archive: FileHandle, name: string): Promise<FileHandle | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let file: FileHandle;
  try {
    file = await open(below(archive, name), flags);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return null;
}

/**
 * What a seal holds. `config` as well, so that an archive that was carried elsewhere says by itself what it
 * is.
 */
export const PARTS = ["worktree", "home", "artifacts", "logs", "meta", "state", "config"] as const;

/** Those of them that agents fill. */
export const AGENTS_PARTS: readonly string[] = ["worktree", "home", "artifacts"];

/**
 * So many directories below a part are sealed; what lies deeper is named as left out. Programs nest some ten
 * deep; only who wants to break tar nests thousands.
 */
export const DEEPEST = 128;
