import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { type BucketConfig, placeOfSeals } from "../config/seals.ts";
import { LazarusError } from "../errors.ts";
import {
  digestOf,
  type FileFacts,
  type Manifest,
  parseManifest,
  SEALED_FILES,
} from "../runner/seal/manifest.ts";
import type { Bucket, Upload } from "./bucket.ts";
import { bucketError } from "./bucket-words.ts";
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
import type { SealStore } from "./seal-store.ts";

export interface BucketStoreOptions {
  readonly config: BucketConfig;
  /** What the files of one seal may have together. */
  readonly mostBytes: number;
}

const MIB = 1024 ** 2;
/** Of what is held in memory there are two at a time. An S3 takes no smaller ones than 5 MiB. */
const PART_BYTES = 8 * MIB;
/** An S3 takes 10,000. */
const MOST_PARTS = 9_000;
const MOST_MANIFEST_BYTES = MIB;
const NAME = new RegExp(`^(?:\\.new-(${UUID})/|(${UUID})\\.([0-9a-f]{32})/)`);

/**
 * Seals in a bucket: `<cell>.<digest>/` with the three files, each of which is there whole or not at all.
 * The manifest comes last: only with it there is a seal. Until then `.new-<cell>/manifest.json` says which
 * seal is on its way.
 */
export function createBucketStore({ config, mostBytes }: BucketStoreOptions): SealStore {
  const at = placeOfSeals(config) ?? "";
  const inTurn = createTurns();
  const reading = createReading(at, (error) => bucketError(error, { doing: "reading", at, config }));
  /** Uploads of this process that are under way: no other is anybody's any more. */
  const mine = new Set<string>();
  let opened: Promise<Bucket> | null = null;

  /** Read when it is first needed: a server that keeps no seals in a bucket never has it in memory. */
  async function bucket(): Promise<Bucket> {
    opened ??= import("./bucket.ts").then(({ openBucket }) => openBucket(config, at));
    opened.catch(() => {
      opened = null;
    });
    return opened;
  }

  const asideOf = (cellId: string) => `.new-${mustBeCell(cellId)}/${MANIFEST}`;
  const finalOf = (cellId: string, digest: string) => `${mustBeCell(cellId)}.${mustBeDigest(digest)}/`;

  async function offered(cellId: string): Promise<{ text: string; manifest: Manifest } | null> {
    const text = await (await bucket()).text(asideOf(cellId), MOST_MANIFEST_BYTES);
    const manifest = text === null ? null : parseManifest(text);
    return text === null || manifest === null ? null : { text, manifest };
  }

  async function manifestOf(cellId: string, digest: string) {
    const text = await (await bucket()).text(`${finalOf(cellId, digest)}${MANIFEST}`, MOST_MANIFEST_BYTES);
    const manifest = text === null ? null : parseManifest(text);
    return text === null ? null : { text, manifest };
  }

  async function keptManifest(cellId: string, digest: string): Promise<{ text: string; manifest: Manifest }> {
    const found = await manifestOf(cellId, digest);
    if (found === null) throw notKept(at);
    const { text, manifest } = found;
    if (manifest === null || digestOf(manifest) !== digest)
      throw damaged(at, `${MANIFEST} is that of another seal`);
    return { text, manifest };
  }

  /** Ends uploads that nobody goes on with. Some servers only find them by the whole name of the object. */
  async function abortUploads(of: string): Promise<void> {
    const to = await bucket();
    for (const upload of await to.uploads(of)) if (!mine.has(upload.id)) await to.abort(upload);
  }

  async function abortUploadsOf(cellId: string, digest: string): Promise<void> {
    for (const name of SEALED_FILES) await abortUploads(`${finalOf(cellId, digest)}${name}`);
  }

  async function send(path: string, facts: FileFacts, body: Readable): Promise<void> {
    const to = await bucket();
    await abortUploads(path);
    const partBytes = Math.max(PART_BYTES, Math.ceil(facts.bytes / MOST_PARTS / MIB) * MIB);
    const parts = inParts(arriving(body, facts), partBytes);
    // Nothing is there before all of it has come and its hash is the right one.
    if (facts.bytes <= partBytes) {
      const whole: Buffer[] = [];
      for await (const part of parts) whole.push(part);
      return to.put(path, Buffer.concat(whole));
    }
    const upload = await to.begin(path);
    mine.add(upload.id);
    try {
      await sendParts(upload, parts);
      await upload.complete();
    } catch (error) {
      // Where this fails too, the next attempt ends it.
      await to.abort(upload).catch(() => {});
      throw error;
    } finally {
      mine.delete(upload.id);
    }
  }

  return {
    // Another server may have a bucket of the same name.
    place: config.endpoint === null ? at : `${at} at ${config.endpoint}`,
    offer: (cellId, text) =>
      inTurn(cellId, "keeping a seal", async () => {
        const manifest = mustFit(text, mostBytes);
        const digest = digestOf(manifest);
        const final = finalOf(cellId, digest);
        const to = await bucket();
        const there = new Map((await to.list(final)).map(({ path, bytes }) => [path, bytes]));
        const missing = manifest.files.filter(({ name, bytes }) => there.get(`${final}${name}`) !== bytes);
        const kept = { digest, bytes: bytesOf(manifest) };
        const isNamed = there.has(`${final}${MANIFEST}`) && (await manifestOf(cellId, digest))?.text === text;
        if (missing.length > 0 || !isNamed) {
          const before = await offered(cellId);
          if (before?.text !== text) {
            if (before !== null) await abortUploadsOf(cellId, digestOf(before.manifest));
            await to.put(asideOf(cellId), Buffer.from(text));
          }
          if (missing.length > 0) return { missing: missing.map(({ name }) => name), kept: null };
          await to.put(`${final}${MANIFEST}`, Buffer.from(text));
        }
        await to.remove(asideOf(cellId));
        return { missing: [], kept };
      }),
    take: (cellId, name, body) =>
      inTurn(cellId, "keeping a seal", async () => {
        const manifest = (await offered(cellId))?.manifest;
        const facts = manifest?.files.find((one) => one.name === name);
        if (manifest === undefined || facts === undefined) throw notOffered(name);
        await send(`${finalOf(cellId, digestOf(manifest))}${facts.name}`, facts, body);
      }),
    manifest: async (cellId, digest) => (await keptManifest(cellId, digest)).text,
    async open(cellId, digest, name) {
      const { manifest } = await keptManifest(cellId, digest);
      const facts = manifest.files.find((one) => one.name === name);
      if (facts === undefined) throw notKept(at);
      const path = `${finalOf(cellId, digest)}${facts.name}`;
      const found = await (await bucket()).read(path);
      if (found === null) throw notKept(at);
      const { bytes, tag } = found;
      try {
        return await reading.open({ path, bytes, tag, read: async () => found.body }, facts);
      } catch (error) {
        found.body.destroy();
        throw error;
      }
    },
    async remove(cellId, but) {
      const to = await bucket();
      // In this order: what is begun after the list was made is not in it.
      const found = [...(await to.list(`${mustBeCell(cellId)}.`)), ...(await to.list(asideOf(cellId)))];
      const coming = await offered(cellId);
      const next = coming === null ? null : digestOf(coming.manifest);
      const stays = (path: string): boolean => {
        if (but === null) return false;
        const [, aside, , digest] = NAME.exec(path) ?? [];
        return aside === undefined ? digest === but || digest === next : next !== but;
      };
      for (const { path } of found) if (!stays(path)) await to.remove(path);
      const uploads = await to.uploads(`${cellId}.`);
      for (const upload of uploads)
        if (!stays(upload.path) && (but === null || !mine.has(upload.id))) await to.abort(upload);
      if (next !== null && but === null) await abortUploadsOf(cellId, next);
    },
    async held() {
      const to = await bucket();
      const held = new Map<string, (string | null)[]>();
      const paths = [...(await to.folders()), ...(await to.uploads("")).map(({ path }) => path)];
      for (const path of paths) {
        const [, aside, cellId, digest = null] = NAME.exec(path) ?? [];
        const id = cellId ?? aside;
        if (id !== undefined) held.set(id, [...(held.get(id) ?? []), digest]);
      }
      return held;
    },
    async probe() {
      const to = await bucket();
      const path = `.try-${randomUUID()}`;
      await to.put(path, Buffer.from(PROBE));
      const read = await to.text(path, PROBE.length);
      const isListed = (await to.list(path)).length === 1;
      await to.uploads(path);
      await to.remove(path);
      if (read !== PROBE || !isListed)
        throw new LazarusError(
          "directory",
          `${at} does not give back what was written there: is seals_endpoint an S3?`,
        );
      if ((await to.text(path, PROBE.length)) !== null)
        throw new LazarusError(
          "directory",
          `${at} does not remove what is removed: let the key remove objects`,
        );
      return to.advice();
    },
  };
}

/** The same bytes in parts of one size, but the last. */
async function* inParts(chunks: AsyncIterable<Buffer>, partBytes: number): AsyncGenerator<Buffer> {
  let [held, bytes]: [Buffer[], number] = [[], 0];
  for await (const chunk of chunks) {
    let rest = chunk;
    while (bytes + rest.length >= partBytes) {
      yield Buffer.concat([...held, rest.subarray(0, partBytes - bytes)]);
      rest = rest.subarray(partBytes - bytes);
      [held, bytes] = [[], 0];
    }
    held.push(rest);
    bytes += rest.length;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** While one part is sent the next one comes. */
async function sendParts(upload: Upload, parts: AsyncIterable<Buffer>): Promise<void> {
  let n = 0;
  let sending: Promise<void> = Promise.resolve();
  try {
    for await (const part of parts) {
      await sending;
      n += 1;
      sending = upload.part(n, part);
      // Looked at when the next one has come, or never.
      sending.catch(() => {});
    }
  } finally {
    await sending.catch(() => {});
  }
  await sending;
}
