import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SIZE_MB = 768;
const PAGE_KB = 64;

/** The file system that Lazarus keeps everything on, which can be full. */
export interface Disk {
  readonly dir: string;
  /** What it is, for the report. */
  readonly what: string;
  fill(): void;
  free(): void;
  remove(): void;
}

/** A small file system where we may mount one, else a directory whose writes doom.mjs refuses. */
export function makeDisk(ground: string): Disk {
  const dir = join(ground, "disk");
  mkdirSync(dir, { mode: 0o711 });
  return mountTmpfs(dir) ? realDisk(dir) : pretendedDisk(ground, dir);
}

function mountTmpfs(dir: string): boolean {
  if (process.geteuid?.() !== 0) return false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MB}m,mode=0711`, "storm", dir], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

function realDisk(dir: string): Disk {
  const resize = (size: string) =>
    execFileSync("mount", ["-o", `remount,size=${size}`, dir], { stdio: "ignore" });
  return {
    dir,
    what: `a tmpfs of ${SIZE_MB} MB that shrinks to what is on it`,
    fill() {
      const used = Number(
        execFileSync("df", ["-k", "--output=used", dir]).toString().trim().split("\n").at(-1),
      );
      // The kernel takes no size below what is used; what is written meanwhile is in its way.
      for (const room of [0, PAGE_KB, 16 * PAGE_KB]) {
        try {
          resize(`${used + room}k`);
          return;
        } catch {
          // Something was written just then.
        }
      }
    },
    free: () => void resize(`${SIZE_MB}m`),
    remove: () => void execFileSync("umount", ["-l", dir], { stdio: "ignore" }),
  };
}

function pretendedDisk(ground: string, dir: string): Disk {
  const flag = join(ground, "full");
  return {
    dir,
    what: "a directory in which node:fs/promises finds no space (no small file system can be mounted here)",
    fill: () => writeFileSync(flag, ""),
    free: () => rmSync(flag, { force: true }),
    remove() {},
  };
}
