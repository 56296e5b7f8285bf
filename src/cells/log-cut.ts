import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { below, inDirectory } from "./inside.ts";

const KEEP_BYTES = 64 * 1024;

/**
 * Cuts a log that is longer than `maxBytes` in place to its beginning and its end with a line between that says so; whoever appends to it goes on
 * behind. Answers how long it was, or null where it was not cut.
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
      await cut(file, size);
      return size;
    } finally {
      await file.close();
    }
  });
}

async function cut(file: FileHandle, size: number): Promise<void> {
  const end = Buffer.alloc(KEEP_BYTES);
  const { bytesRead } = await file.read(end, 0, KEEP_BYTES, size - KEEP_BYTES);
  await file.truncate(KEEP_BYTES);
  const note = `\n[lazarus: ${size - 2 * KEEP_BYTES} bytes of output left out: the log was longer than its limit]\n`;
  await file.appendFile(Buffer.concat([Buffer.from(note), end.subarray(0, bytesRead)]));
}
