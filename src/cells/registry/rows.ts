import { LazarusError } from "../../errors.ts";
import type { Db } from "../../store/db.ts";

type TableName = "cells" | "runs" | "checks" | "runners";
type Row = Readonly<Record<string, unknown>>;

/** Adds a row of these columns. */
export function addRow({ sql }: Pick<Db, "sql">, table: TableName, row: Row): void {
  const names = Object.keys(row);
  const values = names.map((name) => `@${name}`);
  sql.prepare(`INSERT INTO ${table} (${names.join()}) VALUES (${values.join()})`).run(row);
}

/**
 * Writes these columns of the one row that `where` names. @throws LazarusError `internal` where there is
 * none.
 */
export function changeRow({ sql }: Pick<Db, "sql">, table: TableName, columns: Row, where: Row): void {
  const names = Object.keys(columns);
  if (names.length === 0) return;
  const set = names.map((name) => `${name} = @${name}`).join(", ");
  const which = Object.keys(where)
    .map((name) => `${name} = @where_${name}`)
    .join(" AND ");
  const bound = Object.fromEntries(Object.entries(where).map(([name, value]) => [`where_${name}`, value]));
  const { changes } = sql.prepare(`UPDATE ${table} SET ${set} WHERE ${which}`).run({ ...columns, ...bound });
  if (changes !== 1) throw new LazarusError("internal", `updating ${table}: no row ${JSON.stringify(where)}`);
}
