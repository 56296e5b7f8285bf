import type { FileHandle } from "node:fs/promises";

/** What is looked at of one table, however large its file is. */
const MOST_PAGES = 20_000;
const MOST_ROWS = 10_000;
const MOST_ROW_BYTES = 4 * 1024 * 1024;
const MOST_LOG_BYTES = 16 * 1024 * 1024;

export type Value = number | string | null;
export type Row = Readonly<Record<string, Value>>;

/** A database that an agent writes, and the log beside it, opened by whoever knows where they are. */
export interface SqliteFiles {
  readonly main: FileHandle;
  /** `<name>-wal`; null where there is none. */
  readonly log: FileHandle | null;
}

/**
 * The rows of one table of a SQLite file, read page by page and by nothing but this: no code of SQLite's runs
 * on what an agent wrote, nothing is locked, and of a file of any size only this table's pages are read. It
 * may be written meanwhile: what does not fit together then is null, and read again at the next look.
 * @see https://www.sqlite.org/fileformat2.html
 */
export async function readTable(files: SqliteFiles, name: string): Promise<Row[] | null> {
  try {
    const pages = await openPages(files);
    const schema = await rowsOf(pages, 1, ["type", "name", "tbl_name", "rootpage", "sql"]);
    const found = schema.find((row) => row.type === "table" && row.name === name);
    if (typeof found?.rootpage !== "number" || typeof found.sql !== "string") return null;
    return await rowsOf(pages, found.rootpage, columnsOf(found.sql));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

interface Pages {
  /** Bytes of a page that hold something. */
  readonly usable: number;
  read(number: number): Promise<Buffer>;
}

/** Reading behind the end of a buffer throws the same. */
function broken(what: string): never {
  throw new RangeError(what);
}

async function openPages({ main, log }: SqliteFiles): Promise<Pages> {
  const head = await readAt(main, 0, 100);
  if (head.toString("latin1", 0, 15) !== "SQLite format 3") broken("no database");
  const size = head.readUInt16BE(16) === 1 ? 65_536 : head.readUInt16BE(16);
  if (size < 512 || (size & (size - 1)) !== 0 || head.readUInt32BE(56) > 1) broken("of another form");
  const usable = size - head.readUInt8(20);
  const logged = log === null ? new Map<number, Buffer>() : await readLog(log, size);
  let left = MOST_PAGES;
  return {
    usable,
    async read(number) {
      if (number < 1 || --left < 0) broken("too many pages");
      return logged.get(number) ?? readAt(main, (number - 1) * size, size);
    },
  };
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead < length) broken("cut off");
  return buffer;
}

const FRAME_HEAD = 24;

/** Pages that were committed and are not in the file yet. */
async function readLog(log: FileHandle, size: number): Promise<Map<number, Buffer>> {
  const pages = new Map<number, Buffer>();
  const length = Math.min((await log.stat()).size, MOST_LOG_BYTES);
  if (length < 32 + FRAME_HEAD) return pages;
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await log.read(bytes, 0, length, 0);
  const open = new Map<number, Buffer>();
  for (let at = 32; at + FRAME_HEAD + size <= bytesRead; at += FRAME_HEAD + size) {
    // What comes from before the log was begun anew bears other marks.
    if (bytes.compare(bytes, 16, 24, at + 8, at + 16) !== 0) break;
    open.set(bytes.readUInt32BE(at), bytes.subarray(at + FRAME_HEAD, at + FRAME_HEAD + size));
    if (bytes.readUInt32BE(at + 4) === 0) continue;
    for (const [number, page] of open) pages.set(number, page);
    open.clear();
  }
  return pages;
}

async function rowsOf(pages: Pages, root: number, columns: readonly string[]): Promise<Row[]> {
  const rows: Row[] = [];
  const ahead = [root];
  for (let number = ahead.pop(); number !== undefined; number = ahead.pop()) {
    const page = await pages.read(number);
    const start = number === 1 ? 100 : 0;
    const kind = page.readUInt8(start);
    const isLeaf = kind === 13;
    if (!isLeaf && kind !== 5) broken("no page of a table");
    const first = start + (isLeaf ? 8 : 12);
    for (let cell = 0; cell < page.readUInt16BE(start + 3); cell++) {
      const at = page.readUInt16BE(first + 2 * cell);
      if (!isLeaf) ahead.push(page.readUInt32BE(at));
      else rows.push(rowIn(await payloadAt(pages, page, at), columns));
      if (rows.length > MOST_ROWS) broken("too many rows");
    }
    if (!isLeaf) ahead.push(page.readUInt32BE(start + 8));
  }
  return rows;
}

/** What does not fit into a page goes on in a chain of others. */
async function payloadAt(pages: Pages, page: Buffer, at: number): Promise<Buffer> {
  const { usable } = pages;
  const [length, afterLength] = varint(page, at);
  const [, begin] = varint(page, afterLength);
  if (length > MOST_ROW_BYTES) broken("too long a row");
  const most = usable - 35;
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const fitting = least + ((length - least) % (usable - 4));
  const local = length <= most ? length : fitting <= most ? fitting : least;
  const parts = [page.subarray(begin, begin + local)];
  let left = length - local;
  let next = left > 0 ? page.readUInt32BE(begin + local) : 0;
  while (left > 0) {
    const more = await pages.read(next);
    parts.push(more.subarray(4, 4 + Math.min(left, usable - 4)));
    left -= usable - 4;
    next = more.readUInt32BE(0);
  }
  return Buffer.concat(parts);
}

function rowIn(payload: Buffer, columns: readonly string[]): Row {
  const [headLength, afterHead] = varint(payload, 0);
  const row: Record<string, Value> = {};
  let [type, body] = [afterHead, headLength];
  for (const column of columns) {
    if (type >= headLength) break;
    const [code, next] = varint(payload, type);
    const length = lengthOf(code);
    row[column] = valueAt(payload, body, code);
    [type, body] = [next, body + length];
  }
  return row;
}

const INTEGERS = [0, 1, 2, 3, 4, 6, 8] as const;

function lengthOf(code: number): number {
  if (code >= 12) return Math.floor((code - 12) / 2);
  return INTEGERS[code] ?? (code === 7 ? 8 : 0);
}

function valueAt(payload: Buffer, at: number, code: number): Value {
  if (code === 7) return payload.readDoubleBE(at);
  if (code === 8 || code === 9) return code - 8;
  if (code === 6) return Number(payload.readBigInt64BE(at));
  if (code >= 1 && code <= 5) return payload.readIntBE(at, lengthOf(code));
  if (code >= 13 && code % 2 === 1) return payload.toString("utf8", at, at + lengthOf(code));
  return null;
}

/** A number of one to nine bytes, and where the next thing begins. */
function varint(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0n;
  for (let i = 0; i < 9; i++) {
    const byte = bytes.readUInt8(at + i);
    value = i === 8 ? (value << 8n) | BigInt(byte) : (value << 7n) | BigInt(byte & 0x7f);
    if (i === 8 || byte < 0x80) return [Number(BigInt.asIntN(64, value)), at + i + 1];
  }
  return broken("no number");
}

const CONSTRAINTS: ReadonlySet<string> = new Set(["primary", "foreign", "unique", "check", "constraint"]);

/** The names of a table's columns, in order, from the statement that made it. */
function columnsOf(sql: string): string[] {
  const bare = sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ").replace(/'[^']*'/g, "''");
  const inner = bare.slice(bare.indexOf("(") + 1, bare.lastIndexOf(")"));
  const parts = [""];
  let depth = 0;
  for (const char of inner) {
    depth += char === "(" ? 1 : char === ")" ? -1 : 0;
    if (char === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += char;
  }
  const names = parts.map((part) => /^\s*["`[]?(\w+)/.exec(part)?.[1] ?? "");
  return names.filter((name) => !CONSTRAINTS.has(name.toLowerCase()));
}
