import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { LazarusError, systemCode } from "./errors.ts";

/** Held by the one program that works on a data directory; it dies with its owner, whatever kills it. */
export interface Lock {
  release(): void;
}

/**
 * Takes the place of the server: an exclusive transaction on `<data>/lock.db`, which the kernel gives back when the process ends.
 * Null when somebody else holds it.
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

/**
 * Makes the data directory where it is missing, for its owner alone, and refuses to work in one that belongs to another user, so
 * that no files are left behind which its owner cannot write.
 */
export function prepareDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const owner = statSync(dataDir).uid;
    const own = process.geteuid?.() ?? owner;
    if (owner !== own) {
      throw new LazarusError(
        "wrong-user",
        `using ${dataDir}: it belongs to user ${owner} and this is user ${own}; run lazarus as its owner`,
      );
    }
  } catch (error) {
    if (error instanceof LazarusError) throw error;
    throw new LazarusError(
      "registry-unusable",
      `making ${dataDir}: ${String((error as Error).message)} (data in lazarus.yaml)`,
      { cause: error },
    );
  }
}
