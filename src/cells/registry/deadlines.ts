import type { Db } from "../../store/db.ts";
import type { Cell } from "../cell.ts";
import { cellFromRow } from "./cell-row.ts";

/** How the clocks stood at one moment. */
export interface Tick {
  readonly bootId: string;
  readonly upMs: number;
  /** Wall clock, epoch ms. */
  readonly at: number;
}

/** What the registry knows of time: whose end is near, and how the clocks stood when somebody last looked. */
export interface Deadlines {
  /** Cells that are at work, or wait for it, and whose TTL ends before `at`, oldest first. */
  endingBefore(at: number): Cell[];
  /** Archived cells that were to be kept until `at`, or of which nobody has said how long. */
  keptUntil(at: number): Cell[];
  lastTick(): Tick | null;
  rememberTick(tick: Tick): void;
  /**
   * The wall clock was set by `ms`: whatever ends at some time ends that much later. Joins the caller's
   * transaction.
   */
  shift(ms: number): void;
  transaction<T>(fn: () => T): T;
}

/**
 * Over the registry's tables `cells`, `guests`, `runs`, `ticks` and `catchup_marks`. That a cell is not
 * destroyed is said for the sake of the index, which has no others.
 */
export function createDeadlines(db: Db): Deadlines {
  const { sql } = db;
  return {
    endingBefore: (at) =>
      sql
        .prepare(
          "SELECT * FROM cells WHERE state <> 'destroyed' AND state IN ('proposed','active','idle') AND expires_at <= @at ORDER BY seq",
        )
        .all({ at })
        .map(cellFromRow),

    keptUntil: (at) =>
      sql
        .prepare(
          "SELECT * FROM cells WHERE state <> 'destroyed' AND state = 'archived' AND (keep_until IS NULL OR keep_until <= @at) ORDER BY seq",
        )
        .all({ at })
        .map(cellFromRow),

    lastTick() {
      const row = sql.prepare('SELECT boot_id AS "bootId", up_ms AS "upMs", at FROM ticks').get();
      return (row as Tick | undefined) ?? null;
    },

    rememberTick(tick) {
      sql
        .prepare("INSERT OR REPLACE INTO ticks (one, boot_id, up_ms, at) VALUES (1, @bootId, @upMs, @at)")
        .run({ ...tick });
    },

    shift(ms) {
      sql
        .prepare(
          `UPDATE cells SET expires_at = expires_at + @ms, ttl_warned_for = ttl_warned_for + @ms, keep_until = keep_until + @ms
           WHERE state <> 'destroyed'`,
        )
        .run({ ms });
      sql.prepare("UPDATE guests SET until = until + @ms WHERE ended_at IS NULL").run({ ms });
      // Not an end, but ours: how long ago the forge was asked is told from it where the forge's own clock
      // was set, too.
      sql.prepare("UPDATE catchup_marks SET saved_at = saved_at + @ms").run({ ms });
      sql.prepare("UPDATE unasked SET at = at + @ms").run({ ms });
      sql
        .prepare(
          "UPDATE runs SET not_before = not_before + @ms WHERE state IN ('waiting','admitted','running') AND state = 'waiting'",
        )
        .run({ ms });
    },

    transaction: (fn) => db.transaction(fn),
  };
}
