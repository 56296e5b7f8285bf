import * as z from "zod";
import type { Db } from "../../store/db.ts";

/** One action or refusal: who, by what way, what, on what, why, and what came of it. */
export interface AuditEntry {
  /** Epoch ms. */
  readonly at: number;
  readonly who: string;
  /** By the forge; null: the operator, or nobody who was known. */
  readonly whoId: number | null;
  readonly via: "comment" | "web" | "command line";
  /** With its words: `extend 4f1c0b7e 4h`. */
  readonly verb: string;
  /** `acme/app#262`, `command line`, `dashboard`, `job 3e9a12cd`. */
  readonly subject: string;
  readonly cell: string | null;
  readonly why: string | null;
  readonly result: "done" | "refused" | "failed";
  /** Why it was not done; null where it was. */
  readonly reason: string | null;
}

const row = z
  .object({
    seq: z.number(),
    at: z.number(),
    who: z.string(),
    who_id: z.number().nullable(),
    via: z.enum(["comment", "web", "command line"]),
    verb: z.string(),
    subject: z.string(),
    cell: z.string().nullable(),
    why: z.string().nullable(),
    result: z.enum(["done", "refused", "failed"]),
    reason: z.string().nullable(),
  })
  .transform(({ who_id, ...rest }) => ({ ...rest, whoId: who_id }));
export type AuditRow = z.output<typeof row>;

/** What is looked for; a text matches where it stands anywhere. */
export interface AuditSearch {
  readonly who?: string;
  readonly verb?: string;
  readonly cell?: string;
  readonly result?: string;
  /** Rows before this one. */
  readonly before?: number;
  readonly limit: number;
}

export interface Audit {
  /** Joins the caller's transaction. */
  add(entry: AuditEntry): void;
  /** Newest first. */
  find(search: AuditSearch): AuditRow[];
  /** Forgets what was before (epoch ms); nothing else can be taken out, or changed. */
  prune(before: number): number;
}

/**
 * The record of what was asked for, by whatever way. Rows are never changed: the registry itself forbids it.
 */
export function audit({ sql }: Pick<Db, "sql">): Audit {
  return {
    add(entry) {
      sql.prepare(INSERT).run({ ...entry });
    },
    find({ limit, before = Number.MAX_SAFE_INTEGER, ...wanted }) {
      const has = (text: string | undefined) => (text === undefined || text === "" ? null : text);
      const by = {
        who: has(wanted.who),
        verb: has(wanted.verb),
        cell: has(wanted.cell),
        result: has(wanted.result),
      };
      return sql
        .prepare(FIND)
        .all({ ...by, before, limit })
        .map((one) => row.parse(one));
    },
    prune(before) {
      sql.prepare("UPDATE audit_horizon SET before = @before WHERE one = 1").run({ before });
      return sql.prepare("DELETE FROM audit WHERE at < @before").run({ before }).changes;
    },
  };
}

const INSERT = `
  INSERT INTO audit (at, who, who_id, via, verb, subject, cell, why, result, reason)
  VALUES (@at, @who, @whoId, @via, @verb, @subject, @cell, @why, @result, @reason)`;
const FIND = `
  SELECT * FROM audit WHERE seq < @before
    AND (@who IS NULL OR instr(lower(who), lower(@who)) > 0)
    AND (@verb IS NULL OR instr(verb, @verb) > 0)
    AND (@cell IS NULL OR substr(cell, 1, length(@cell)) = @cell)
    AND (@result IS NULL OR result = @result)
  ORDER BY seq DESC LIMIT @limit`;
