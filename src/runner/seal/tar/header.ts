import { LazarusError } from "../../../errors.ts";

/** One block of a tar: headers are one, contents are padded to whole ones. */
export const BLOCK = 512;

/** The header block of a member as it stands there, before what its extension headers say. */
export interface RawHeader {
  readonly name: Buffer;
  readonly mode: number;
  /** Bytes that follow in the archive. */
  readonly stored: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly flag: string;
  readonly link: Buffer;
  readonly block: Buffer;
}

/**
 * Reads one header block (ustar, pax or GNU); null where it is all zeros: the end of the archive.
 * @throws LazarusError `directory` where its checksum does not hold.
 * @see POSIX pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format"
 */
export function parseHeader(block: Buffer): RawHeader | null {
  if (block.every((byte) => byte === 0)) return null;
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  if (number(block, 148, 8) !== sum) throw brokenTar("a header's checksum does not hold");
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? text(block, 345, 155) : Buffer.alloc(0);
  const name = text(block, 0, 100);
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]),
    mode: number(block, 100, 8),
    stored: number(block, 124, 12),
    mtime: number(block, 136, 12),
    flag: block.toString("latin1", 156, 157),
    link: text(block, 157, 100),
    block,
  };
}

/** The records of a pax extension header; values are bytes, since names need not be text. */
export function parsePax(data: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number(data.toString("latin1", at, space));
    const equals = data.indexOf(0x3d, space);
    const end = at + length;
    const isWhole = space > at && equals > space && end > equals && data[end - 1] === 0x0a;
    if (!isWhole) throw brokenTar("an extension header cannot be read");
    records.set(data.toString("latin1", space + 1, equals), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** Offset and length of each piece of a sparse file, one after the other. */
export type SparseMap = readonly number[];

/**
 * The pieces that a GNU header block of type `S`, or one of the blocks after it, names; `more`: another such
 * block follows.
 */
export function parseOldSparse(block: Buffer, kind: "header" | "more"): { map: number[]; more: boolean } {
  const [from, most, flagAt] = kind === "header" ? ([386, 4, 482] as const) : ([0, 21, 504] as const);
  const map: number[] = [];
  for (let at = 0; at < most; at++) {
    const start = from + at * 24;
    if (block[start] === 0) break;
    map.push(number(block, start, 12), number(block, start + 12, 12));
  }
  return { map, more: block[flagAt] === 1 };
}

/** Size of a sparse file in a GNU header block of type `S`. */
export function oldSparseSize(block: Buffer): number {
  return number(block, 483, 12);
}

/** What is wrong with an archive that no tar of ours wrote, or that was damaged since. */
export function brokenTar(what: string): LazarusError {
  return new LazarusError("directory", `reading an archive: ${what}`);
}

function text(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end));
}

/** Octal digits, or, where the first bit is set, a big-endian number. */
function number(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = first === 0xff ? -1 : 0;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
    return checked(value);
  }
  const digits = field
    .toString("latin1")
    .replace(/[\0 ].*$/s, "")
    .trim();
  if (!/^[0-7]*$/.test(digits)) throw brokenTar("a number in a header is none");
  return checked(digits === "" ? 0 : Number.parseInt(digits, 8));
}

function checked(value: number): number {
  if (!Number.isSafeInteger(value)) throw brokenTar("a number in a header is too large");
  return value;
}
