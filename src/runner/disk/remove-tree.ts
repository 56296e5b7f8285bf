import type { Stats } from "node:fs";
import { lstat, readFile, realpath, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { LazarusError, systemCode } from "../../errors.ts";
import { LEAST_MEMORY, runWorker } from "../run-worker.ts";
import { removeLittle } from "./empty-tree.ts";

/** A walk holds some directories open and a few names; millions of files on a slow disk take their time. */
const LIMITS = { memoryBytes: LEAST_MEMORY, fileBytes: 0, mostMs: 60 * 60_000 };

/**
 * Deletes `<root>/<name>` and all below it, and nothing else: directories are opened without following links
 * and emptied below their descriptor, links are unlinked, another file system is never entered, directories
 * that deny us are made writable first. A child walks through it, but for the little that takes no time.
 * Missing is fine.
 * @throws LazarusError `directory`, retryable, if something is left, naming it.
 */
export async function removeTree(root: string, name: string): Promise<void> {
  const path = join(root, name);
  const stat = await lookAt(path);
  if (stat === null) return;
  if (!stat.isDirectory()) return unlink(path).catch(unlessAbsent);
  const isGone = await rmdir(path).then(
    () => true,
    () => false,
  );
  if (isGone) return;
  // Whoever mounted something may keep whoever looks at it waiting: not us.
  if ((await mountsBelow(path)).length === 0 && removeLittle(root, name)) return;
  const doing = `deleting ${path}`;
  const plan = { request: { name }, answer: z.null(), doing, limits: LIMITS, cwd: root };
  await runWorker("remove", plan).catch((error: unknown) => {
    if (!(error instanceof LazarusError) || error.code !== "over-limit") throw error;
    // It goes on where it was ended: each time less is left.
    throw new LazarusError("directory", error.message, { retryable: true });
  });
}

/** Null: nothing is there. */
function lookAt(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  });
}

function unlessAbsent(error: unknown): void {
  if (systemCode(error) !== "ENOENT") throw error;
}

/** Mount points at or below a directory, from `/proc/self/mountinfo`. */
export async function mountsBelow(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const points = table.split("\n").map((line) => unescapeOctal(line.split(" ")[4] ?? ""));
  return points.filter((point) => point === real || point.startsWith(`${real}/`));
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * Scrubs a cell: renames it to `.gone-<id>`, deletes that, and proves that nothing of that name is there any
 * more. Its processes must be gone.
 * @throws LazarusError `directory` while something is mounted below, or if something could not be deleted.
 */
export async function scrubCell(missionsDir: string, cellId: string): Promise<void> {
  for (const name of [cellId, `.gone-${cellId}`]) {
    const mounts = await mountsBelow(join(missionsDir, name));
    if (mounts.length === 0) continue;
    throw new LazarusError(
      "directory",
      `destroying cell ${cellId}: ${mounts.join(", ")} is mounted; unmount it first`,
      { retryable: true },
    );
  }
  const gone = join(missionsDir, `.gone-${cellId}`);
  await removeTree(missionsDir, `.gone-${cellId}`);
  await rename(join(missionsDir, cellId), gone).catch(unlessAbsent);
  await removeTree(missionsDir, `.gone-${cellId}`);
  await removeTree(missionsDir, `.new-${cellId}`);
  const [left] = await leftOf(missionsDir, cellId);
  if (left !== undefined)
    throw new LazarusError("directory", `destroying cell ${cellId}: ${left} is still there`, {
      retryable: true,
    });
}

/** Names in the missions root under which something of this cell lies. */
export async function leftOf(missionsDir: string, cellId: string): Promise<string[]> {
  const names = [cellId, `.gone-${cellId}`, `.new-${cellId}`];
  const there = await Promise.all(names.map((name) => lookAt(join(missionsDir, name))));
  return names.filter((_, at) => there[at] !== null);
}
