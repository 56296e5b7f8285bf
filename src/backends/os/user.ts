import { constants, realpathSync, type Stats, statSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { LazarusError } from "../../errors.ts";
import type { CellUser } from "../backend.ts";
import { findTool } from "./tools.ts";

/**
 * The command, run as that user without a capability or a way to gain one; unchanged where there is none. The
 * words go before the command, after the shim: what the shim writes stays Lazarus' own.
 * @throws LazarusError `backend` where Lazarus is not root, or has no setpriv.
 * @see setpriv(1)
 */
export function asUser(user: CellUser | null, command: readonly string[]): string[] {
  if (user === null) return [...command];
  if (process.getuid?.() !== 0) throw new LazarusError("backend", `only root can run as uid ${user.uid}`);
  const setpriv = findTool("setpriv");
  if (setpriv === null)
    throw new LazarusError("backend", "there is no setpriv here: install util-linux, whose part it is");
  return [setpriv, ...setprivArguments(user), "--", ...command];
}

/** Of setpriv: ids by their numbers, so that no name needs to exist for them. */
export function setprivArguments({ uid, gid, groups }: CellUser): string[] {
  return [
    ...["--reuid", String(uid), "--regid", String(gid)],
    ...(groups.length === 0 ? ["--clear-groups"] : ["--groups", groups.join(",")]),
    ...["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"],
  ];
}

type Modes = Pick<Stats, "mode" | "uid" | "gid">;

/**
 * Whether its permission bits let that user execute a file, or enter a directory; access lists are not looked
 * at.
 */
export function mayExecute(of: Modes, user: CellUser): boolean {
  if (of.uid === user.uid) return (of.mode & constants.S_IXUSR) !== 0;
  if (of.gid === user.gid || user.groups.includes(of.gid)) return (of.mode & constants.S_IXGRP) !== 0;
  return (of.mode & constants.S_IXOTH) !== 0;
}

/**
 * The first directory on the way to a path, or to what it links to, that this user cannot enter; null: none.
 */
export function closedDirectory(path: string, user: CellUser): string | null {
  for (const way of new Set([path, realpathSync(path)])) {
    const closed = ancestorsOf(way).find((dir) => !mayExecute(statSync(dir), user));
    if (closed !== undefined) return closed;
  }
  return null;
}

function ancestorsOf(path: string): string[] {
  const found: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    found.unshift(at);
    if (at === dirname(at)) return found;
  }
}

/**
 * Whether the kernel counts processes for each user namespace apart, so that a limit inside holds for the
 * sandbox alone even where it shares its user with others; before it would have counted the whole login.
 * @see Linux 5.14, kernel/ucount.c, UCOUNT_RLIMIT_NPROC
 */
export function countsProcessesPerNamespace(kernel: string = release()): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 14);
}
