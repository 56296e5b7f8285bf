import { constants, fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { below, inDirectory } from "./safe-files.ts";

const KEEP_BYTES = 64 * 1024;

/**
 * Cuts a log that is longer than `maxBytes` in place to its beginning and its end with a line between that
 * says so; whoever appends to it goes on behind. Answers how long it was, or null where it was not cut.
 */
export async function cutLog(cellDir: string, log: string, maxBytes: number): Promise<number | null> {
  return inDirectory(cellDir, ["logs"], async (directory) => {
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(below(directory, log), flags).catch(() => null);
    if (file === null) return null;
    try {
      const { size, nlink } = await file.stat();
      const isRegular = (await file.stat()).isFile() && nlink === 1;
      if (!isRegular || size <= Math.max(maxBytes, 4 * KEEP_BYTES)) return null;
      return cut(file);
    } finally {
      await file.close();
    }
  });
}

/**
 * All in one turn: what is appended between the reading and the cutting is lost, so between them there must
 * be microseconds, not the turns of a busy program. A gigabyte is cut in a tenth of a second.
 */
function cut(file: FileHandle): number {
  const { size } = fstatSync(file.fd);
  const end = Buffer.alloc(KEEP_BYTES);
  const bytesRead = readSync(file.fd, end, 0, KEEP_BYTES, size - KEEP_BYTES);
  ftruncateSync(file.fd, KEEP_BYTES);
  const note = `\n[lazarus: ${size - 2 * KEEP_BYTES} bytes of output left out: the log was longer than its limit]\n`;
  writeSync(file.fd, Buffer.concat([Buffer.from(note), end.subarray(0, bytesRead)]));
  return size;
}
