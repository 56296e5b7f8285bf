import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, openDb } from "../../src/store/db.ts";

let migrated: Buffer | null = null;

/** Opens a new registry; the schema is brought up to date once in a process, and copied from then on. */
export function openFreshDb(path: string): Db {
  migrated ??= migrate();
  writeFileSync(path, migrated);
  return openDb(path);
}

function migrate(): Buffer {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-schema-"));
  const path = join(dir, "registry.db");
  openDb(path).close();
  const bytes = readFileSync(path);
  rmSync(dir, { recursive: true });
  return bytes;
}
