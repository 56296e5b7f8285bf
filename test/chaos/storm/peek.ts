import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";

/** A row of the registry's cells, as far as the storm looks at it. */
export interface CellRow {
  readonly id: string;
  /** Where it lies. */
  readonly runner: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly not_started: string | null;
  readonly stuck: string | null;
  readonly breaker: string | null;
  readonly closing: string | null;
  readonly checked: string | null;
  readonly repository: number;
  readonly full_name: string;
  readonly number: number;
  readonly branch: string;
  readonly delivery: string;
  readonly asked_in_comment: number | null;
  readonly waits_for_approval: number;
  readonly base_name: string;
  readonly card_id: number | null;
  readonly pull_request: number | null;
  readonly published_branch: string | null;
  readonly published_tip: string | null;
  readonly sealed_at: number | null;
  readonly harvest: string | null;
}

export interface JobRow {
  readonly id: string;
  readonly kind: string;
  readonly key: string;
  readonly state: string;
  readonly attempt: number;
  readonly not_before: number;
  readonly payload: string;
  readonly notes: string;
  readonly error: string | null;
}

export type Ask = <T>(sql: string, ...values: unknown[]) => T[];

function asker(db: Database.Database): Ask {
  return <T>(sql: string, ...values: unknown[]) => db.prepare(sql).all(...values) as T[];
}

/** Reads the registry beside a Lazarus that may be at work on it; null where that cannot be just now. */
export function peek<T>(dataDir: string, look: (ask: Ask) => T): T | null {
  let db: Database.Database | null = null;
  try {
    db = new Database(join(dataDir, "lazarus.db"), { readonly: true, timeout: 2_000 });
    return look(asker(db));
  } catch {
    return null;
  } finally {
    db?.close();
  }
}

/**
 * Reads what a killed Lazarus left, on a copy: it is for the next Lazarus to recover it. Null where there is
 * no registry yet.
 */
export function autopsy<T>(dataDir: string, aside: string, look: (ask: Ask) => T): T | null {
  if (!existsSync(join(dataDir, "lazarus.db"))) return null;
  mkdirSync(aside, { recursive: true });
  for (const name of ["lazarus.db", "lazarus.db-wal"]) {
    rmSync(join(aside, name), { force: true });
    if (existsSync(join(dataDir, name))) copyFileSync(join(dataDir, name), join(aside, name));
  }
  rmSync(join(aside, "lazarus.db-shm"), { force: true });
  const db = new Database(join(aside, "lazarus.db"));
  try {
    // Killed before its first migration was through: nothing is there to look at.
    if (db.pragma("user_version", { simple: true }) === 0) return null;
    return look(asker(db));
  } finally {
    db.close();
  }
}

/** Writes into the registry, also of a Lazarus that is at work; it notices that somebody else wrote. */
export function tamper(dataDir: string, sql: string, ...values: unknown[]): number {
  const db = new Database(join(dataDir, "lazarus.db"), { timeout: 10_000 });
  try {
    return db.prepare(sql).run(...values).changes;
  } finally {
    db.close();
  }
}
