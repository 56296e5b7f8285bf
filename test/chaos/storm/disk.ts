import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SIZE_MB = 768;
const PAGE_BYTES = 4_096;

/** The file system that Lazarus keeps everything on, which can be full. */
export interface Disk {
  readonly dir: string;
  /** What it is, for the report. */
  readonly what: string;
  /** Is there while a disk that is none is to look full. */
  readonly fullPath: string;
  fill(): void;
  free(): void;
  remove(): void;
}

/**
 * A small ext4 of our own, where a commit takes as long as on a disk; a tmpfs where there are no loop
 * devices; a directory whose writes doom.mjs refuses where we may not mount at all.
 */
export function makeDisk(ground: string): Disk {
  const dir = join(ground, "disk");
  mkdirSync(dir, { mode: 0o711 });
  const fullPath = join(ground, "full");
  if (process.geteuid?.() !== 0) return pretendedDisk(fullPath, dir);
  const image = join(ground, "disk.img");
  const isExt4 =
    works("truncate", `--size=${SIZE_MB}M`, image) &&
    works("mkfs.ext4", "-q", "-m", "0", image) &&
    works("mount", "-o", "loop", image, dir);
  if (isExt4) return realDisk({ dir, fullPath }, `an ext4 of ${SIZE_MB} MB`);
  if (works("mount", "-t", "tmpfs", "-o", `size=${SIZE_MB}m,mode=0711`, "storm", dir))
    return realDisk({ dir, fullPath }, `a tmpfs of ${SIZE_MB} MB`);
  return pretendedDisk(fullPath, dir);
}

function works(program: string, ...words: readonly string[]): boolean {
  try {
    execFileSync(program, words, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function realDisk({ dir, fullPath }: Pick<Disk, "dir" | "fullPath">, what: string): Disk {
  execFileSync("chmod", ["0711", dir]);
  const ballast = join(dir, "ballast");
  return {
    ...{ dir, fullPath },
    what: `${what}, filled to the last page`,
    fill() {
      const { bavail, bsize } = statfsSync(dir);
      // What Lazarus writes meanwhile may be in the way: then a little less is taken.
      for (const room of [0, 16, 256]) {
        const bytes = bavail * bsize - room * PAGE_BYTES;
        if (bytes <= 0 || works("fallocate", "-l", String(bytes), ballast)) return;
        rmSync(ballast, { force: true });
      }
    },
    free: () => rmSync(ballast, { force: true }),
    remove: () => void works("umount", "-l", dir),
  };
}

function pretendedDisk(fullPath: string, dir: string): Disk {
  return {
    ...{ dir, fullPath },
    what: "a directory in which node:fs/promises finds no space (no small file system can be mounted here)",
    fill: () => writeFileSync(fullPath, ""),
    free: () => rmSync(fullPath, { force: true }),
    remove() {},
  };
}
