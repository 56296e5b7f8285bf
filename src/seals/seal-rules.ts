import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { LazarusError } from "../errors.ts";
import { type FileFacts, type Manifest, parseManifest } from "../runner/seal/manifest.ts";
import { formatSize } from "../units.ts";

/** The form of a cell's id. */
export const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const CELL = new RegExp(`^${UUID}$`);

export const MANIFEST = "manifest.json";

export function mustBeCell(cellId: string): string {
  if (CELL.test(cellId)) return cellId;
  throw new LazarusError("not-found", "this is no id of a cell");
}

export function mustBeDigest(digest: string): string {
  if (/^[0-9a-f]{32}$/.test(digest)) return digest;
  throw new LazarusError("not-found", "this is no digest of a seal");
}

export function mustFit(text: string, mostBytes: number): Manifest {
  const manifest = parseManifest(text);
  if (manifest === null) throw new LazarusError("usage", "this is no manifest of a seal");
  const bytes = bytesOf(manifest);
  if (bytes <= mostBytes) return manifest;
  throw new LazarusError(
    "over-limit",
    `a seal of ${formatSize(bytes)} is not kept: at most twice limits.disk of the server, ${formatSize(mostBytes)}`,
  );
}

export function bytesOf({ files }: Pick<Manifest, "files">): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

export function notOffered(name: string): LazarusError {
  return new LazarusError("not-found", `the seal that was offered last has no ${name}`);
}

export function notKept(place: string): LazarusError {
  return new LazarusError(
    "directory",
    `the seal of this cell is not in ${place}, where it was put: put it back there, or name the place where it is (seals in lazarus.yaml)`,
  );
}

/** What is kept is not what was sealed. */
export function damaged(place: string, what: string): LazarusError {
  return new LazarusError(
    "directory",
    `the seal of this cell in ${place} is damaged, ${what}: put it back there from a copy, and revive the cell again`,
  );
}

type Unlike = "larger" | "shorter" | "another";

/**
 * Hands on what comes, up to what the manifest says. It ends in an error unless that was all of it, and of
 * the right hash.
 */
async function* compared(
  body: AsyncIterable<unknown>,
  facts: FileFacts,
  unlike: (how: Unlike, bytes: number) => Error,
): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  let bytes = 0;
  const end = () => {
    if (hash.digest("hex") !== facts.sha256) throw unlike("another", bytes);
  };
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > facts.bytes) throw unlike("larger", bytes);
    if ((chunk as Buffer).length === 0) continue;
    hash.update(chunk as Buffer);
    // Before the last of it is handed on: who has all that was said may not wait for more.
    if (bytes === facts.bytes) end();
    yield chunk as Buffer;
  }
  if (bytes < facts.bytes) throw unlike("shorter", bytes);
  if (facts.bytes === 0) end();
}

/** What a runner sends: never more than was said, and nothing but what was sealed. */
export function arriving(body: Readable, facts: FileFacts): AsyncGenerator<Buffer> {
  return compared(body, facts, (how) => {
    if (how === "larger") return new LazarusError("usage", `${facts.name} is larger than its manifest says`);
    if (how === "shorter")
      return new LazarusError("directory", `${facts.name} did not arrive whole`, { retryable: true });
    return new LazarusError("usage", `${facts.name} is not what its manifest says (its SHA-256 differs)`);
  });
}

/** One file as it lies where seals are kept. */
export interface Lying {
  /** Where it lies, for a program. */
  readonly path: string;
  readonly bytes: number;
  /** Another one whenever it was written anew. */
  readonly tag: string;
  read(): Promise<Readable>;
}

/** Reads what is kept, and remembers what of it was found damaged. `broke`: the way there, or the disk. */
export function createReading(place: string, broke: (error: unknown) => unknown) {
  const found = new Map<string, { readonly tag: string; readonly why: LazarusError }>();
  async function* told(body: Readable): AsyncGenerator<unknown> {
    try {
      yield* body;
    } catch (error) {
      throw broke(error);
    }
  }
  return {
    /**
     * A body that ends in an error where it is not what was sealed. Whoever has begun to hand it on can tell
     * no reason any more: the next reader is told at once.
     */
    async open(lying: Lying, facts: FileFacts): Promise<{ body: Readable; bytes: number }> {
      const known = found.get(lying.path);
      if (known?.tag === lying.tag) throw known.why;
      found.delete(lying.path);
      if (lying.bytes !== facts.bytes)
        throw damaged(place, `${facts.name} has ${lying.bytes} bytes instead of ${facts.bytes}`);
      const unlike = (how: Unlike, bytes: number) => {
        // The connection broke.
        if (how === "shorter")
          return new LazarusError("directory", `${facts.name} did not come whole from ${place}`, {
            retryable: true,
          });
        const why = damaged(
          place,
          how === "larger"
            ? `${facts.name} has ${bytes} bytes or more instead of ${facts.bytes}`
            : `${facts.name} is not what was sealed (its SHA-256 differs)`,
        );
        found.set(lying.path, { tag: lying.tag, why });
        return why;
      };
      const raw = await lying.read();
      // Nobody reads it yet: an error that nobody hears ends the process.
      raw.on("error", () => {});
      const body = Readable.from(compared(told(raw), facts, unlike), { objectMode: false });
      return { body, bytes: facts.bytes };
    },
  };
}

/** One at a time of a cell: its lane says so, and a runner need not be believed. */
export function createTurns() {
  const busy = new Set<string>();
  return async <T>(cellId: string, doing: string, work: () => Promise<T>): Promise<T> => {
    if (busy.has(cellId))
      throw new LazarusError("directory", `${doing}: it is at work on this cell already`, {
        retryable: true,
      });
    busy.add(cellId);
    try {
      return await work();
    } finally {
      busy.delete(cellId);
    }
  };
}

/** What is written to see whether anything can be. */
export const PROBE = "lazarus tries whether seals can be kept here\n";
