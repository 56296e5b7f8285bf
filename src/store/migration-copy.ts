import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const KEPT = 3;

/** What is needed of an open database. */
interface Sql {
  prepare(text: string): { run(...given: unknown[]): unknown };
}

/** Copies of a registry from before its migrations, the newest schema first. */
export function copiesBefore(path: string): { readonly path: string; readonly schema: number }[] {
  const dir = dirname(path);
  const prefix = `${basename(path)}.before-`;
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => ({ path: join(dir, name), schema: Number(name.slice(prefix.length)) }))
    .sort((a, b) => b.schema - a.schema);
}

/**
 * Copies the registry beside itself before it is migrated, as `lazarus.db.before-6`; the last three copies
 * are kept. Throws SQLite's errors, also where the disk is full: then nothing is migrated.
 */
export function copyBefore(sql: Sql, path: string, schema: number): void {
  const to = `${path}.before-${schema}`;
  copyInto(sql, `${to}.new`);
  renameSync(`${to}.new`, to);
  for (const old of copiesBefore(path).slice(KEPT)) rmSync(old.path, { force: true });
}

/** A copy as of one moment, while others go on writing. */
export function copyInto(sql: Sql, to: string): void {
  rmSync(to, { force: true });
  try {
    sql.prepare("VACUUM INTO ?").run(to);
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}

/** What brings an older program back to its registry; empty where no copy of a schema it knows is there. */
export function wayBack(path: string, known: number): string {
  const copy = copiesBefore(path).find((one) => one.schema <= known);
  if (copy === undefined) return "";
  return `. A copy from before the upgrade is there; without what was written since: cp ${copy.path} ${path} && rm -f ${path}-wal ${path}-shm`;
}
