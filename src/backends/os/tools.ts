import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/** Where a system keeps its own programs; never an agent's PATH, never Lazarus' own. */
const SYSTEM_DIRS = [
  "/usr/bin",
  "/bin",
  "/usr/sbin",
  "/sbin",
  "/usr/local/bin",
  "/run/current-system/sw/bin",
];

/** Absolute path of a program of the system's; null where it is not installed. */
export function findTool(name: string): string | null {
  return findProgram(name, SYSTEM_DIRS);
}

/** Absolute path of a program in the first of some directories that has it; null where none has. */
export function findProgram(name: string, dirs: readonly string[]): string | null {
  for (const dir of dirs) {
    const path = join(dir, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  return null;
}
