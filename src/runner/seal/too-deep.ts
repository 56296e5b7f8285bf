import { execFile } from "node:child_process";
import type { WorkLimits } from "../confined.ts";
import { underLimits } from "../confined.ts";
import { DEEPEST } from "./manifest.ts";

const MOST_OUTPUT = 1024 ** 2;
const MOST_NAMED = 10;
const MOST_NAME = 300;

/**
 * What lies too deep in these directories of a cell to be sealed, for people: the first of it. A child looks,
 * which follows nothing, leaves other file systems out and has limits.
 */
export function tooDeep(
  at: { readonly cellDir: string; readonly parts: readonly string[]; readonly path: string },
  limits: WorkLimits,
): Promise<string[]> {
  const depth = String(DEEPEST);
  const words = ["find", ...at.parts, "-xdev", "-mindepth", depth, "-maxdepth", depth, "-print0"];
  const [command, ...args] = underLimits(limits, words);
  const options = {
    ...{ cwd: at.cellDir, env: { PATH: at.path, LC_ALL: "C" } },
    ...{ timeout: limits.mostMs, maxBuffer: MOST_OUTPUT, killSignal: "SIGKILL" as const },
  };
  return new Promise((resolve) => {
    // It leaves with 1 where something may not be read, and is ended where it finds too much: what it found
    // counts.
    execFile(command, args, options, (_error, stdout) => {
      const found = stdout.split("\0").filter((name) => name !== "");
      const named = found.slice(0, MOST_NAMED).map((name) => `${start(name)}: too deep`);
      const more = found.length - named.length;
      resolve(more > 0 ? [...named, `and more that lies too deep (${more} or more)`] : named);
    });
  });
}

function start(name: string): string {
  return JSON.stringify(name.slice(0, MOST_NAME)).slice(1, -1);
}
