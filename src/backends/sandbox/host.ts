import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { LazarusError } from "../../errors.ts";
import type { Surroundings } from "../backend.ts";
import { closedDirectory } from "../os/user.ts";
import { ETC_SHOWN, ETC_SHOWN_DEEPER, type HostLayout, ROOTS } from "./bwrap-args.ts";

/** What of this machine a sandbox shows. */
export function readHost(): HostLayout {
  const roots = ROOTS.flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return [{ path, link: stat.isSymbolicLink() ? readlinkSync(path) : null }];
  });
  const deeper = ETC_SHOWN_DEEPER.filter((name) => statSync(join("/etc", name), { throwIfNoEntry: false }));
  const hosts = existsSync("/etc/hosts") ? readFileSync("/etc/hosts", "utf8").trimEnd() : "";
  return {
    roots,
    hosts,
    etc: [...readdirSync("/etc").filter((name) => ETC_SHOWN.test(name)), ...deeper].sort(),
  };
}

/** Whether `path` is `dir` or below it. */
export function isWithin(path: string, dir: string): boolean {
  const way = relative(dir, path);
  return way === "" || (!isAbsolute(way) && way !== ".." && !way.startsWith("../"));
}

/**
 * Sees to it that what the cell is made of can be bound as it is: directories of its own, never links, and
 * `paths` that exist, can be reached and do not hold the cell.
 * @throws LazarusError `backend` or `configuration`.
 */
export function checkBinds(what: string, around: Surroundings): void {
  const { dirs, paths, user } = around;
  for (const dir of [dirs.worktree, dirs.artifacts, dirs.home]) {
    if (lstatSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new LazarusError("backend", `${what}: ${dir} is not there, or no directory`);
  }
  for (const path of paths) {
    const fault = faultOfPath(path, around);
    if (fault !== null) throw new LazarusError("configuration", `${what}: paths: ${path} ${fault}`);
  }
  if (user === null) return;
  const closed = closedDirectory(dirs.worktree, user);
  if (closed !== null)
    throw new LazarusError(
      "backend",
      `${what}: the cell's own user, uid ${user.uid}, may not enter ${closed}`,
    );
}

/** Why a path of the agent's cannot be shown; null where it can. */
export function faultOfPath(
  path: string,
  {
    dirs,
    user,
  }: { readonly user: Surroundings["user"]; readonly dirs: Pick<Surroundings["dirs"], "cell" | "mirror"> },
): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return "does not exist";
  const real = realpathSync(path);
  for (const own of [dirs.cell, dirs.mirror]) {
    if (isWithin(own, real)) return `holds ${own}: a sandbox would see what is not its own`;
  }
  const closed = user === null ? null : closedDirectory(path, user);
  return closed === null
    ? null
    : `cannot be shown to the cell's own user, uid ${user?.uid}: it may not enter ${closed}`;
}

/**
 * Sees to it that a command found on the host is there inside as well, also where it is a link.
 * @throws LazarusError `agent-missing` naming what to add to `paths`.
 */
export function checkVisible(
  what: string,
  executable: string,
  {
    dirs,
    paths,
  }: {
    readonly paths: readonly string[];
    readonly dirs: Pick<Surroundings["dirs"], "worktree" | "artifacts" | "home">;
  },
): void {
  const shown = ["/usr", ...ROOTS, ...paths, dirs.worktree, dirs.artifacts, dirs.home];
  const roots = shown.flatMap((path) => [path, realOf(path) ?? path]);
  for (const path of [executable, realOf(executable) ?? executable]) {
    if (roots.some((root) => isWithin(path, root))) continue;
    const via = path === executable ? path : `${executable}, which is a link to ${path},`;
    throw new LazarusError(
      "agent-missing",
      `cannot start ${what}: ${via} cannot be seen inside the sandbox: add its directory to the agent's paths`,
    );
  }
}

function realOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
