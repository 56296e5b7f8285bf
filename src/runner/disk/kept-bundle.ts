import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { COLLECTED } from "./directory.ts";
import { below, inDirectory } from "./safe-files.ts";

/**
 * Copies the bundle of its work that a cell keeps in its archive to a new file; false where there is none.
 */
export async function copyKeptBundle(cellDir: string, to: string): Promise<boolean> {
  const copied = await inDirectory(cellDir, ["archive"], async (archive) => {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    // Once it was sealed, or where an earlier version kept it, it has the seal's name.
    const from =
      (await open(below(archive, COLLECTED), flags).catch(() => null)) ??
      (await open(below(archive, "branch.bundle"), flags).catch(() => null));
    if (from === null) return false;
    try {
      if (!(await from.stat()).isFile()) return false;
      const target = await open(to, "wx", 0o600);
      await pipeline(from.createReadStream({ autoClose: false }), target.createWriteStream());
      return true;
    } finally {
      await from.close();
    }
  });
  return copied === true;
}
