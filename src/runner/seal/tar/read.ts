import {
  BLOCK,
  brokenTar,
  oldSparseSize,
  parseHeader,
  parseOldSparse,
  parsePax,
  type RawHeader,
  type SparseMap,
} from "./header.ts";
import { ByteSource } from "./source.ts";

/** What a member is; `other` is a fifo, a device, or what we do not know. */
export type TarEntryType = "file" | "directory" | "link" | "hard-link" | "other";

/** One member of a tar. Its bytes must be read, or are skipped, before the next one is asked for. */
export interface TarEntry {
  /** As the archive says, but for the slash after a directory's name. */
  readonly path: Buffer;
  readonly type: TarEntryType;
  /** Permission bits as the archive has them. */
  readonly mode: number;
  /** What a reader of the file would see, holes included. */
  readonly size: number;
  /** What of it is in the archive. */
  readonly stored: number;
  /** Seconds since 1970, as decimal digits; at most nine after the point. */
  readonly mtime: string;
  /** Where a link leads, or the path of the member that a hard link is another name of. */
  readonly target: Buffer;
  /**
   * How the file's holes lie is told in the archive: at the front of its stored bytes (`inside`), or already
   * read (`map`).
   */
  readonly sparse: null | "inside" | { readonly map: SparseMap };
  /** Its bytes as they are stored. */
  bytes(): AsyncIterable<Buffer>;
}

const MOST_EXTENSION_BYTES = 1024 ** 2;
const MOST_PIECES = 2_000_000;

/**
 * Reads a tar (ustar, pax, GNU) member by member, without keeping more than one header in memory. Names are
 * bytes and are not checked here.
 * @throws LazarusError `directory` where it is damaged, or ends in the middle.
 */
export async function* readTar(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void> {
  const source = new ByteSource(stream);
  try {
    yield* membersOf(source);
    await source.drain();
  } finally {
    await source.close();
  }
}

async function* membersOf(source: ByteSource): AsyncGenerator<TarEntry, void> {
  let extension: Extension = { pax: new Map(), name: null, link: null };
  for (;;) {
    const block = await source.take(BLOCK);
    if (block === null) throw brokenTar("its end is missing");
    const header = parseHeader(block);
    if (header === null) return;
    if ("xgLK".includes(header.flag)) {
      extension = await readExtension(source, header, extension);
      continue;
    }
    const member = await memberOf(source, header, extension);
    extension = { pax: new Map(), name: null, link: null };
    let begun = false;
    yield {
      ...member,
      bytes() {
        begun = true;
        return withPadding(source, member.stored);
      },
    };
    if (!begun) for await (const _ of withPadding(source, member.stored));
  }
}

interface Extension {
  readonly pax: ReadonlyMap<string, Buffer>;
  readonly name: Buffer | null;
  readonly link: Buffer | null;
}

async function readExtension(source: ByteSource, header: RawHeader, before: Extension): Promise<Extension> {
  if (header.stored > MOST_EXTENSION_BYTES) throw brokenTar("an extension header is too large");
  const parts: Buffer[] = [];
  for await (const part of withPadding(source, header.stored)) parts.push(part);
  const data = Buffer.concat(parts);
  if (header.flag === "g") return before;
  if (header.flag === "x") return { ...before, pax: parsePax(data) };
  const end = data.indexOf(0);
  const value = end === -1 ? data : data.subarray(0, end);
  return header.flag === "L" ? { ...before, name: value } : { ...before, link: value };
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  S: "file",
  "1": "hard-link",
  "2": "link",
  "5": "directory",
};

async function memberOf(source: ByteSource, header: RawHeader, { pax, name, link }: Extension) {
  const type = TYPES[header.flag] ?? "other";
  const stored = paxNumber(pax, "size") ?? header.stored;
  const version = pax.get("GNU.sparse.major")?.toString("latin1");
  if (version !== undefined && version !== "1")
    throw brokenTar(`sparse files of version ${version} are not read`);
  const isInside = version === "1";
  const old = header.flag === "S" ? await readOldMap(source, header) : null;
  const full = name ?? pax.get(isInside ? "GNU.sparse.name" : "path") ?? header.name;
  const isSlashed = type === "directory" && full.at(-1) === 0x2f;
  return {
    path: isSlashed ? full.subarray(0, -1) : full,
    type,
    mode: header.mode & 0o7777,
    stored: type === "file" || type === "other" ? stored : 0,
    size:
      type !== "file"
        ? 0
        : old !== null
          ? oldSparseSize(header.block)
          : (paxNumber(pax, "GNU.sparse.realsize") ?? stored),
    mtime: pax.get("mtime")?.toString("latin1") ?? String(header.mtime),
    target: link ?? pax.get("linkpath") ?? header.link,
    sparse: old !== null ? { map: old } : isInside ? ("inside" as const) : null,
  };
}

function paxNumber(pax: ReadonlyMap<string, Buffer>, key: string): number | null {
  const text = pax.get(key)?.toString("latin1");
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text)) throw brokenTar(`${key} of an extension header is no number`);
  return Number(text);
}

async function readOldMap(source: ByteSource, header: RawHeader): Promise<number[]> {
  const { map, more } = parseOldSparse(header.block, "header");
  for (let goesOn = more; goesOn; ) {
    const block = await source.take(BLOCK);
    if (block === null || map.length > MOST_PIECES)
      throw brokenTar("the map of a sparse file cannot be read");
    const next = parseOldSparse(block, "more");
    map.push(...next.map);
    goesOn = next.more;
  }
  return map;
}

async function* withPadding(source: ByteSource, stored: number): AsyncGenerator<Buffer, void> {
  yield* source.pass(stored);
  const over = stored % BLOCK;
  if (over > 0) for await (const _ of source.pass(BLOCK - over));
}

/**
 * Splits the stored bytes of a sparse file whose map stands at their front: decimal numbers, a line each, how
 * many pieces and then offset and length of each, padded to whole blocks.
 * @see GNU tar manual, "PAX Format, Version 1.0"
 */
export async function readInnerMap(
  bytes: AsyncIterable<Buffer>,
): Promise<{ map: SparseMap; rest: AsyncIterable<Buffer> }> {
  const source = new ByteSource(bytes);
  const map: number[] = [];
  let count: number | null = null;
  let digits = "";
  while (count === null || map.length < count * 2) {
    const block = await source.take(BLOCK);
    if (block === null) throw brokenTar("the map of a sparse file cannot be read");
    for (const char of block.toString("latin1")) {
      if (char >= "0" && char <= "9" && digits.length < 16) digits += char;
      else if (char === "\n" && digits !== "" && (count === null || map.length < count * 2)) {
        if (count === null) count = Number(digits);
        else map.push(Number(digits));
        digits = "";
      } else if (char !== "\0") throw brokenTar("the map of a sparse file cannot be read");
    }
    if ((count ?? 0) > MOST_PIECES) throw brokenTar("the map of a sparse file is too large");
  }
  return { map, rest: source.rest() };
}
