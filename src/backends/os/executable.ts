import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { LazarusError } from "../../errors.ts";
import type { CellUser, Surroundings } from "../backend.ts";
import { closedDirectory, mayExecute } from "./user.ts";

/**
 * The command with its first word as an absolute path, found on the `PATH` of its own environment (absolute
 * entries only: nothing in a tree is found by accident). A word with a slash is taken from the worktree. A
 * user of its own must be able to get there.
 * @throws LazarusError `agent-missing` when it is not there, not executable or a directory.
 */
export function resolveCommand(
  what: string,
  command: readonly string[],
  where: Pick<Surroundings, "env" | "dirs" | "user">,
): string[] {
  const [name = "", ...rest] = command;
  if (name === "") throw missing(what, "its command is empty");
  if (name.includes("/")) {
    const path = resolve(where.dirs.worktree, name);
    const fault = faultOf(path, where.user);
    if (fault !== null) throw missing(what, `${path} ${fault}`);
    return [path, ...rest];
  }
  let first: string | null = null;
  for (const dir of (where.env.PATH ?? "").split(":").filter(isAbsolute)) {
    const path = join(dir, name);
    const fault = faultOf(path, where.user);
    if (fault === null) return [path, ...rest];
    if (fault !== ABSENT) first ??= `${path} ${fault}`;
  }
  throw missing(what, first ?? `no ${name} on its PATH, where Lazarus runs`);
}

const ABSENT = "does not exist";

function faultOf(path: string, user: CellUser | null): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return ABSENT;
  if (stat.isDirectory()) return "is a directory";
  if (!stat.isFile()) return "is not a file";
  if (user !== null) {
    const closed = closedDirectory(path, user);
    if (closed !== null)
      return `cannot be reached by the cell's own user, uid ${user.uid}: it may not enter ${closed}`;
    if ((stat.mode & 0o111) === 0) return "is not executable";
    return mayExecute(stat, user) ? null : `is not executable for the cell's own user, uid ${user.uid}`;
  }
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
