import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { below, inDirectory, isAbsent } from "../disk/safe-files.ts";

/** Enough of a log to see what an agent does again and again. */
const TAIL_BYTES = 256 * 1024;

/** A regular file as it was at one look. */
export interface SeenFile {
  /** Differs whenever the file does. */
  readonly stamp: string;
  readonly bytes: number;
  /** Epoch ms, as the file says: whoever may write it may set it. */
  readonly modifiedAt: number;
  /**
   * Its end (or all of it), read only where the stamp is another than the known one; null where it is the
   * same.
   */
  readonly text: string | null;
}

/** Looks at a run's log. Null where there is none, or something else has its name. */
export function lookAtLog(cellDir: string, log: string, known: string | null): Promise<SeenFile | null> {
  return look(cellDir, { names: ["logs"], file: log }, { known, mostBytes: TAIL_BYTES, wants: "end" });
}

/**
 * Looks at a small file that an agent leaves for us; the text of one that is larger than `mostBytes` is
 * empty.
 */
export function lookAtNote(
  cellDir: string,
  at: { readonly names: readonly string[]; readonly file: string },
  how: { readonly known: string | null; readonly mostBytes: number },
): Promise<SeenFile | null> {
  return look(cellDir, at, { ...how, wants: "all" });
}

interface How {
  readonly known: string | null;
  readonly mostBytes: number;
  readonly wants: "end" | "all";
}

function look(
  cellDir: string,
  at: { readonly names: readonly string[]; readonly file: string },
  how: How,
): Promise<SeenFile | null> {
  return inDirectory(cellDir, at.names, async (directory) => {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    let file: FileHandle;
    try {
      file = await open(below(directory, at.file), flags);
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
    try {
      const stat = await file.stat();
      // A second name may lead to a file of somebody else.
      if (!stat.isFile() || stat.nlink !== 1) return null;
      const stamp = `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
      const seen = { stamp, bytes: stat.size, modifiedAt: stat.mtimeMs };
      if (stamp === how.known) return { ...seen, text: null };
      if (how.wants === "all" && stat.size > how.mostBytes) return { ...seen, text: "" };
      return { ...seen, text: await readEnd(file, stat.size, how.mostBytes) };
    } finally {
      await file.close();
    }
  });
}

async function readEnd(file: FileHandle, size: number, mostBytes: number): Promise<string> {
  const length = Math.min(size, mostBytes);
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, size - length);
  const text = buffer.subarray(0, bytesRead).toString("utf8");
  // The line that the cut went through is none.
  return size > length ? text.slice(text.indexOf("\n") + 1) : text;
}
