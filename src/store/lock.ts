import { chmodSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { LazarusError, systemCode } from "../errors.ts";
import { makePath } from "../make-path.ts";

/** Held by the one program that works on a data directory; it dies with its owner, whatever kills it. */
export interface Lock {
  release(): void;
}

/**
 * Takes the place of the server: an exclusive transaction on `<data>/lock.db`, which the kernel gives back
 * when the process ends. Null when somebody else holds it.
 * @throws LazarusError `registry-unusable` when the file cannot be opened.
 */
export function takeLock(dataDir: string): Lock | null {
  const path = join(dataDir, "lock.db");
  let file: Database.Database | null = null;
  try {
    file = new Database(path, { timeout: 0 });
    // Nothing is ever written: in rollback-journal mode the lock alone is what counts.
    file.pragma("journal_mode = DELETE");
    file.exec("BEGIN EXCLUSIVE");
    const held = file;
    return { release: () => void held.close() };
  } catch (error) {
    file?.close();
    const code = systemCode(error);
    if (code?.startsWith("SQLITE_BUSY")) return null;
    throw new LazarusError("registry-unusable", `locking ${path}: ${String((error as Error).message)}`, {
      cause: error,
    });
  }
}

/** Whether a program is at work on a data directory just now. */
export function isAtWork(dataDir: string): boolean {
  const lock = takeLock(dataDir);
  lock?.release();
  return lock === null;
}

const OURS = /^((lazarus|lock)\.db|(heartbeat|runners)\.key|users\.json)/;

/** Cells' users pass through to their mirrors (mode 0711); our own files there are closed to them. */
function letPass(dataDir: string): void {
  for (const entry of readdirSync(dataDir, { withFileTypes: true })) {
    if (entry.isFile() && OURS.test(entry.name)) chmodSync(join(dataDir, entry.name), 0o600);
  }
  chmodSync(dataDir, 0o711);
}

/**
 * Makes the data directory where it is missing, for its owner alone (as root others may pass through, and
 * list nothing), and refuses to work in one that belongs to another user, so that no files are left behind
 * which its owner cannot write.
 */
export function prepareDataDir(dataDir: string): void {
  try {
    // Whatever is made from here on is its owner's alone, unless it is opened on purpose.
    // Directories on the way are made passable in one step: a kill in between would leave them shut.
    const isRoot = process.geteuid?.() === 0;
    process.umask(isRoot ? 0o066 : 0o077);
    makePath(dataDir, isRoot ? 0o711 : 0o700);
    process.umask(0o077);
    const owner = statSync(dataDir).uid;
    const own = process.geteuid?.() ?? owner;
    if (owner !== own) {
      throw new LazarusError(
        "wrong-user",
        `using ${dataDir}: it belongs to user ${owner} and this is user ${own}; run lazarus as its owner`,
      );
    }
    if (own === 0) letPass(dataDir);
  } catch (error) {
    if (error instanceof LazarusError) throw error;
    throw new LazarusError(
      "registry-unusable",
      `making ${dataDir}: ${String((error as Error).message)} (data in lazarus.yaml)`,
      { cause: error },
    );
  }
}
