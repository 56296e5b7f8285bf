import * as z from "zod";

type Sql = string | number | null;

/** How a value stands in its column. */
export interface Codec<T> {
  /** Reads it; throws where the file was tampered with. */
  readonly shape: z.ZodType<T>;
  write(value: T): Sql;
}

/**
 * `fixed`: written with the row, and never again. `open`: written with the row, and later. `later`: empty at
 * first, or what the database says.
 */
export type When = "fixed" | "open" | "later";
export interface Column<T, W extends When> extends Codec<T> {
  readonly when: W;
}

const plain = <T extends Sql>(shape: z.ZodType<T>): Codec<T> => ({ shape, write: (value) => value });

export const text = plain(z.string());
export const int = plain(z.number());
/** 0 or 1. */
export const flag: Codec<boolean> = { shape: z.number().transform((value) => value !== 0), write: Number };

export function oneOf<const V extends readonly string[]>(values: V): Codec<V[number]> {
  return plain(z.enum(values));
}

/** JSON of a shape. */
export function json<T>(shape: z.ZodType<T>): Codec<T> {
  return {
    shape: z.string().transform((written, context): T => {
      const parsed = shape.safeParse(JSON.parse(written));
      if (parsed.success) return parsed.data;
      context.addIssue({ code: "custom", message: parsed.error.message });
      return z.NEVER;
    }),
    write: (value) => JSON.stringify(value),
  };
}

const MOST_REMEMBERED = 4_096;

/** The same, for what is read again and again and seldom another: each text is understood once. */
export function remembered<T>({ shape, write }: Codec<T>): Codec<T> {
  const known = new Map<string, T>();
  return {
    shape: z.string().transform((written, context): T => {
      const before = known.get(written);
      if (before !== undefined) return before;
      const parsed = shape.safeParse(written);
      if (!parsed.success) {
        context.addIssue({ code: "custom", message: parsed.error.message });
        return z.NEVER;
      }
      if (known.size >= MOST_REMEMBERED) known.clear();
      known.set(written, parsed.data);
      return parsed.data;
    }),
    write,
  };
}

/** Or null. */
export function maybe<T>({ shape, write }: Codec<T>): Codec<T | null> {
  return { shape: shape.nullable(), write: (value) => (value === null ? null : write(value)) };
}

export const fixed = <T>(codec: Codec<T>): Column<T, "fixed"> => ({ ...codec, when: "fixed" });
export const open = <T>(codec: Codec<T>): Column<T, "open"> => ({ ...codec, when: "open" });
export const later = <T>(codec: Codec<T>): Column<T, "later"> => ({ ...codec, when: "later" });

type Columns = Readonly<
  Record<string, { readonly shape: z.ZodType; readonly when: When; write(value: never): Sql }>
>;
type Values<C extends Columns> = { [K in keyof C]: C[K] extends Column<infer T, When> ? T : never };
/** The columns of a table that are written at these times. */
export type KeysOf<C extends Columns, W extends When> = {
  [K in keyof C]: C[K]["when"] extends W ? K : never;
}[keyof C];

export interface Table<C extends Columns> {
  readonly columns: C;
  /** A row as it comes out of the database; columns that are not listed are left out. */
  read(row: unknown): Values<C>;
  /** What of a row is to be written, by the names of its columns. */
  write(values: Partial<Values<C>>): Record<string, Sql>;
}

/**
 * The columns of a table, from which all that reads and writes its rows follows. A column is called as its
 * key, in snake case, unless `names` says otherwise.
 */
export function table<C extends Columns>(
  columns: C,
  names: Partial<Record<keyof C & string, string>> = {},
): Table<C> {
  const keys = Object.keys(columns);
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  // Once, not with each of thousands of rows.
  const named = keys.map((key) => [key, names[key] ?? snake(key)] as const);
  const nameOf = new Map<string, string>(named);
  const shape = z.object(
    Object.fromEntries(named.map(([key, name]) => [name, columns[key]?.shape ?? z.never()])),
  );
  return {
    columns,
    read(row) {
      const read = shape.parse(row);
      return Object.fromEntries(named.map(([key, name]) => [key, read[name]])) as Values<C>;
    },
    write: (values) =>
      Object.fromEntries(
        Object.entries(values).map(([key, value]) => [
          nameOf.get(key) ?? key,
          columns[key]?.write(value as never) ?? null,
        ]),
      ),
  };
}
