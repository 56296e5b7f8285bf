import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { LazarusError } from "../errors.ts";
import type { Surroundings } from "./backend.ts";

/**
 * The command with its first word as an absolute path, found on the `PATH` of its own environment (absolute entries only: nothing in a tree is
 * found by accident). A word with a slash is taken from the worktree.
 * @throws LazarusError `agent-missing` when it is not there, not executable or a directory.
 */
export function resolveCommand(
  what: string,
  command: readonly string[],
  where: Pick<Surroundings, "env" | "dirs">,
): string[] {
  const [name = "", ...rest] = command;
  if (name === "") throw missing(what, "its command is empty");
  if (name.includes("/")) {
    const path = resolve(where.dirs.worktree, name);
    const fault = faultOf(path);
    if (fault !== null) throw missing(what, `${path} ${fault}`);
    return [path, ...rest];
  }
  let first: string | null = null;
  for (const dir of (where.env.PATH ?? "").split(":").filter(isAbsolute)) {
    const path = join(dir, name);
    const fault = faultOf(path);
    if (fault === null) return [path, ...rest];
    if (fault !== ABSENT) first ??= `${path} ${fault}`;
  }
  throw missing(what, first ?? `no ${name} on its PATH (${where.env.PATH ?? ""})`);
}

const ABSENT = "does not exist";

function faultOf(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return ABSENT;
  if (stat.isDirectory()) return "is a directory";
  if (!stat.isFile()) return "is not a file";
  try {
    accessSync(path, constants.X_OK);
    return null;
  } catch {
    return "is not executable";
  }
}

function missing(what: string, why: string): LazarusError {
  return new LazarusError("agent-missing", `cannot start ${what}: ${why}`);
}
