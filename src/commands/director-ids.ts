import type { Db } from "../store/db.ts";

/**
 * Which accounts the configured directors are: an id is bound to a login the first time it is seen, so that
 * whoever takes a login that became free is none, and who changed it still is one. Rows of `facts`.
 */
export interface DirectorIds {
  /** Null: nobody of that login was seen yet. */
  of(login: string): number | null;
  bind(login: string, id: number): void;
  /** Forgets logins that are configured no more: named again, one is bound anew. */
  keep(logins: readonly string[]): void;
}

const nameOf = (login: string) => `director:${login.toLowerCase()}`;

export function createDirectorIds({ sql }: Pick<Db, "sql">): DirectorIds {
  const statements = {
    of: sql.prepare("SELECT value FROM facts WHERE name = @name").pluck(),
    bind: sql.prepare("INSERT OR IGNORE INTO facts (name, value) VALUES (@name, @id)"),
    keep: sql.prepare(
      "DELETE FROM facts WHERE name LIKE 'director:%' AND name NOT IN (SELECT value FROM json_each(@names))",
    ),
  };
  return {
    of(login) {
      const value = statements.of.get({ name: nameOf(login) });
      return typeof value === "string" ? Number(value) : null;
    },
    bind: (login, id) => void statements.bind.run({ name: nameOf(login), id: String(id) }),
    keep: (logins) => void statements.keep.run({ names: JSON.stringify(logins.map(nameOf)) }),
  };
}
