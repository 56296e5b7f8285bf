import { explain, LazarusError, systemCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { mayBeFull } from "../runner/disk/full-disk.ts";

const AGAIN_MS = 5_000;

/**
 * Opens what needs the disk of the data directory; where that is full it waits and tries again, until
 * somebody ends the process. `tell` says so to whoever started us.
 */
export async function whenThereIsRoom<T>(
  open: () => Promise<T>,
  at: { readonly dataDir: string; readonly log: Log; tell(line: string): Promise<void> },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open();
    } catch (error) {
      if (!(await isForWantOfRoom(error, at.dataDir))) throw error;
      if (attempt === 1) {
        const line = "the disk is full: make room, and Lazarus goes on by itself";
        at.log.error({ data: at.dataDir, why: explain(error) }, line);
        await at.tell(line);
      }
      // Nothing else keeps this process alive meanwhile.
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** SQLite says of a full disk that it is full, or only that reading and writing fails. */
async function isForWantOfRoom(error: unknown, dataDir: string): Promise<boolean> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof LazarusError && cause.code === "disk-full") return true;
    const code = systemCode(cause) ?? "";
    if (["SQLITE_FULL", "ENOSPC", "EDQUOT"].includes(code)) return true;
    if (/^SQLITE_(IOERR|CANTOPEN)/.test(code)) return mayBeFull([dataDir], 0);
  }
  return false;
}
