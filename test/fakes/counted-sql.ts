import type { Db } from "../../src/store/db.ts";

/** What was asked of SQLite. */
export interface CountedSql {
  /** How many statements were run, and how many rows they answered. */
  readonly statements: number;
  readonly rows: number;
  /** The longest text that was bound to one. */
  readonly longestBound: number;
  reset(): void;
}

/**
 * Counts from now on what is asked of a registry, by statements that are prepared from now on: work is
 * measured in queries and rows, which are the same on every machine.
 */
export function countSql(db: Db): CountedSql {
  const seen = { statements: 0, rows: 0, longestBound: 0 };
  const prepare = db.sql.prepare.bind(db.sql);
  const counted = (statement: object): object =>
    new Proxy(statement, {
      get(target, name) {
        const own = Reflect.get(target, name) as unknown;
        if (typeof own !== "function") return own;
        return (...bound: unknown[]) => {
          const answer = (own as (...all: unknown[]) => unknown).apply(target, bound);
          if (name !== "get" && name !== "all" && name !== "run")
            return answer === target ? counted(target) : answer;
          seen.statements++;
          if (name === "all") seen.rows += (answer as unknown[]).length;
          if (name === "get" && answer !== undefined) seen.rows++;
          const texts = bound.flatMap((one) =>
            typeof one === "object" && one !== null ? Object.values(one) : [one],
          );
          for (const text of texts)
            if (typeof text === "string") seen.longestBound = Math.max(seen.longestBound, text.length);
          return answer;
        };
      },
    });
  db.sql.prepare = ((text: string) => counted(prepare(text))) as typeof db.sql.prepare;
  return {
    get statements() {
      return seen.statements;
    },
    get rows() {
      return seen.rows;
    },
    get longestBound() {
      return seen.longestBound;
    },
    reset: () => void Object.assign(seen, { statements: 0, rows: 0, longestBound: 0 }),
  };
}
