import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "./errors.ts";

/**
 * Makes a directory and those on the way to it that are missing, all with `mode` less the umask. Throws the
 * system's errors, also `ENOENT` where a file system makes none (`/proc`): Node's own recursive mkdir never
 * ends there.
 */
export function makePath(dir: string, mode: number): void {
  try {
    mkdirSync(dir, { mode });
  } catch (error) {
    const code = systemCode(error);
    if (code === "EEXIST" && statSync(dir).isDirectory()) return;
    if (code !== "ENOENT" || dirname(dir) === dir) throw error;
    makePath(dirname(dir), mode);
    try {
      mkdirSync(dir, { mode });
    } catch (again) {
      // Another process may have been faster.
      if (systemCode(again) !== "EEXIST" || !statSync(dir).isDirectory()) throw again;
    }
  }
}
