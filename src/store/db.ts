import Database from "better-sqlite3";
import { LazarusError, systemCode } from "../errors.ts";
import { took } from "../meter.ts";
import { GroupCommit } from "./group-commit.ts";
import { copyBefore, copyInto, wayBack } from "./migration-copy.ts";
import { MIGRATIONS } from "./migrations.ts";
import { keepStatements } from "./statements.ts";

/** The one SQLite file: registry, history and job log share it, and so share transactions. */
export interface Db {
  readonly sql: Database.Database;
  /** Runs `fn` in a transaction (a savepoint inside another one); a throw rolls it back. */
  transaction<T>(fn: () => T): T;
  /**
   * The same without waiting for the disk: a power cut may undo it, unless a later commit was synced. Only
   * for what is found anew then, and never inside of another one.
   */
  transactionWithoutSync<T>(fn: () => T): T;
  /**
   * Like `transaction`, but everything asked for in the same turn of the event loop (under load: in a few of
   * them) shares one commit (and its fsync); the promise settles after that commit. One failing `fn` does not
   * undo the others.
   */
  commitTogether<T>(fn: () => T): Promise<T>;
  /**
   * Calls `fn` once after the running transaction has been committed (now, if none runs); dropped on
   * rollback.
   */
  afterCommit(fn: () => void): void;
  /** A number that changes when another process has committed. */
  foreignVersion(): number;
  close(): void;
}

/**
 * Opens (and creates, and migrates) the registry with WAL and `synchronous=FULL`, since better-sqlite3's
 * default under WAL is NORMAL, which may lose the last commits in a power cut.
 * @throws LazarusError `registry-newer` if a later version of Lazarus wrote it, `registry-unusable` if it
 * cannot be opened or written.
 */
export function openDb(path: string): Db {
  let sql: Database.Database | undefined;
  try {
    sql = new Database(path, { timeout: 5_000 });
    sql.pragma("journal_mode = WAL");
    sql.pragma("synchronous = FULL");
    sql.pragma("foreign_keys = ON");
    migrate(sql, path);
  } catch (error) {
    sql?.close();
    throw registryError(path, error);
  }
  return new SqliteDb(sql);
}

/**
 * A fact of a registry that another process may have open, read and nothing else: no file is made, no schema
 * brought up to date. Null where there is none.
 */
export function peekFact(path: string, name: string): string | null {
  let sql: Database.Database | undefined;
  try {
    sql = new Database(path, { readonly: true, fileMustExist: true, timeout: 1_000 });
    const row = sql.prepare("SELECT value FROM facts WHERE name = @name").get({ name });
    return (row as { value: string } | undefined)?.value ?? null;
  } catch {
    // No registry yet, or one of before there were facts.
    return null;
  } finally {
    sql?.close();
  }
}

/**
 * Copies a registry as of one moment to a new file, while a server goes on writing; answers its schema.
 * @throws LazarusError `registry-unusable`, `disk-full`.
 */
export function copyDb(path: string, to: string): number {
  let sql: Database.Database | undefined;
  try {
    sql = new Database(path, { fileMustExist: true, timeout: 5_000 });
    copyInto(sql, to);
    return Number(sql.pragma("user_version", { simple: true }));
  } catch (error) {
    if (systemCode(error) === "SQLITE_FULL")
      throw new LazarusError("disk-full", `copying ${path} to ${to}: the disk is full`, { cause: error });
    throw registryError(path, error);
  } finally {
    sql?.close();
  }
}

/** Writes one fact into a registry that another process may have open; brings no schema up to date. */
export function putFact(path: string, name: string, value: string): void {
  const sql = new Database(path, { fileMustExist: true, timeout: 5_000 });
  try {
    sql.prepare("INSERT OR REPLACE INTO facts (name, value) VALUES (@name, @value)").run({ name, value });
  } finally {
    sql.close();
  }
}

/** The schema of a registry, and what `PRAGMA quick_check` says of it: `ok` where nothing is wrong. */
export function inspectDb(path: string): { readonly schema: number; readonly check: string } {
  let sql: Database.Database | undefined;
  try {
    sql = new Database(path, { readonly: true, fileMustExist: true, timeout: 5_000 });
    const schema = Number(sql.pragma("user_version", { simple: true }));
    return { schema, check: String(sql.pragma("quick_check(1)", { simple: true })) };
  } catch (error) {
    throw registryError(path, error);
  } finally {
    sql?.close();
  }
}

/**
 * The dead jobs of a registry, and since when (epoch ms) the oldest is due; nothing is brought up to date.
 */
export function peekJobs(
  path: string,
  now: number,
): { readonly dead: number; readonly dueSince: number | null } {
  const sql = new Database(path, { readonly: true, fileMustExist: true, timeout: 5_000 });
  try {
    const [row] = sql
      .prepare(
        `SELECT (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead,
           (SELECT min(max(put_at, not_before)) FROM jobs WHERE state = 'waiting' AND not_before <= @now) AS dueSince`,
      )
      .all({ now }) as { dead: number; dueSince: number | null }[];
    return row ?? { dead: 0, dueSince: null };
  } finally {
    sql.close();
  }
}

/** After a restore, what is older than `now` (epoch ms) on the forge is never acted upon. */
export function forgetPast(path: string, now: number): void {
  const sql = new Database(path, { fileMustExist: true, timeout: 5_000 });
  try {
    sql.exec("BEGIN IMMEDIATE");
    sql.prepare("UPDATE served SET since = max(since, @now)").run({ now });
    sql.prepare("UPDATE catchup_marks SET at = max(at, @now), saved_at = max(saved_at, @now)").run({ now });
    sql.exec("COMMIT");
  } finally {
    sql.close();
  }
}

/**
 * What kept us from opening the registry, or from the first write to it, as LazarusError `registry-unusable`;
 * our own errors as they are.
 */
export function registryError(path: string, error: unknown): LazarusError {
  if (error instanceof LazarusError) return error;
  const code = systemCode(error) ?? "";
  const isLocked = code.startsWith("SQLITE_BUSY");
  const said = isLocked
    ? "another program has it locked"
    : code.startsWith("SQLITE_READONLY")
      ? "it is read-only"
      : String((error as Error).message);
  return new LazarusError("registry-unusable", `opening the registry ${path}: ${said}`, {
    cause: error,
    retryable: isLocked,
  });
}

function migrate(sql: Database.Database, path: string): void {
  const found = Number(sql.pragma("user_version", { simple: true }));
  if (found > MIGRATIONS.length) {
    throw new LazarusError(
      "registry-newer",
      `opening the registry ${path}: it was written by a newer Lazarus (schema ${found}, this one knows ${MIGRATIONS.length}); install that version, or restore a backup${wayBack(path, MIGRATIONS.length)}`,
    );
  }
  if (found === MIGRATIONS.length) return;
  if (found > 0) copyBefore(sql, path, found);
  sql
    .transaction(() => {
      for (let version = found; version < MIGRATIONS.length; version++) sql.exec(MIGRATIONS[version] ?? "");
      sql.pragma(`user_version = ${MIGRATIONS.length}`);
    })
    .immediate();
}

class SqliteDb implements Db {
  readonly sql: Database.Database;
  /** Made once: making it costs as much as a small transaction. */
  readonly #run: Database.Transaction<(fn: () => unknown) => unknown>;
  #depth = 0;
  #afterCommit: (() => void)[] = [];
  readonly #together: GroupCommit;

  constructor(sql: Database.Database) {
    sql.prepare = keepStatements(sql.prepare.bind(sql)) as typeof sql.prepare;
    this.sql = sql;
    this.#run = sql.transaction((fn) => fn());
    this.#together = new GroupCommit((fn) => this.transaction(fn));
  }

  transaction<T>(fn: () => T): T {
    const kept = this.#afterCommit.length;
    const beganAt = performance.now();
    this.#depth++;
    try {
      return (this.#depth === 1 ? this.#run.immediate(fn) : this.#run(fn)) as T;
    } catch (error) {
      this.#afterCommit.length = kept;
      throw error;
    } finally {
      this.#depth--;
      if (this.#depth === 0) {
        took("registry_transaction_seconds", (performance.now() - beganAt) / 1_000);
        this.#committed();
      }
    }
  }

  transactionWithoutSync<T>(fn: () => T): T {
    this.sql.pragma("synchronous = NORMAL");
    try {
      return this.transaction(fn);
    } finally {
      this.sql.pragma("synchronous = FULL");
    }
  }

  commitTogether<T>(fn: () => T): Promise<T> {
    return this.#together.commit(fn);
  }

  afterCommit(fn: () => void): void {
    if (this.#depth === 0) fn();
    else this.#afterCommit.push(fn);
  }

  #committed(): void {
    const calls = this.#afterCommit;
    this.#afterCommit = [];
    for (const call of calls) call();
  }

  foreignVersion(): number {
    return Number(this.sql.pragma("data_version", { simple: true }));
  }

  close(): void {
    if (!this.sql.open) return;
    this.sql.close();
  }
}
