import type { z } from "zod";
import { LazarusError } from "../errors.ts";
import { type Answered, type Calls, check } from "./calls.ts";
import { AnswerTooLarge } from "./http.ts";

/** How many entries a page has; servers may cap it lower (`MAX_RESPONSE_ITEMS`) without a word. */
export const PAGE = 50;
/** A page that is too large to be read is asked for in smaller parts, at last one by one. */
const PARTS = [PAGE, 5, 1] as const;
const MOST_PAGES = 5_000;
/** So many entries in a row that cannot be read are no longer single ones. */
const MOST_UNREADABLE = 20;

export type Page = (query: { page: number; limit: number }) => Promise<Answered>;

/** All of a list, and how many of its entries were too large to be read. */
export interface Whole<T> {
  readonly items: T[];
  readonly skipped: number;
}

/** Whether an answer was not read because of its size. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof LazarusError && error.cause instanceof AnswerTooLarge;
}

/** `X-Total-Count`; null where it is not told. */
export function countOf(headers: Headers): number | null {
  const text = headers.get("x-total-count") ?? "";
  return /^\d{1,12}$/.test(text) ? Number(text) : null;
}

/**
 * Reads a list to its end: up to the count that the server tells, else up to a short page. Null where the
 * first page is answered with one of the statuses in `missing`.
 */
export async function readAll<T>(
  calls: Calls,
  list: { readonly doing: string; readonly page: Page; readonly schema: z.ZodType<T[]> },
  missing: readonly number[] = [],
): Promise<Whole<T> | null> {
  for (const limit of PARTS) {
    try {
      return await inPages(calls, { ...list, limit }, missing);
    } catch (error) {
      if (limit === 1 || !isTooLarge(error)) throw error;
    }
  }
  throw new LazarusError("internal", `${list.doing}: no size of pages was tried`);
}

async function inPages<T>(
  calls: Calls,
  list: {
    readonly doing: string;
    readonly page: Page;
    readonly schema: z.ZodType<T[]>;
    readonly limit: number;
  },
  missing: readonly number[],
): Promise<Whole<T> | null> {
  const { doing, limit } = list;
  const items: T[] = [];
  let [seen, skipped, inARow] = [0, 0, 0];
  let total: number | null = null;
  for (let number = 1; number <= MOST_PAGES; number++) {
    const call = { doing, send: () => list.page({ page: number, limit }) };
    try {
      const answer = await calls.read(call);
      if (number === 1 && missing.includes(answer.status)) return null;
      if (answer.status !== 200) throw calls.refusal(call, answer);
      const part = check(doing, answer.data, list.schema);
      total = countOf(answer.headers);
      items.push(...part);
      seen += part.length;
      inARow = 0;
      // Servers may cap pages lower than we ask: their count says whether more is to come.
      const isLast = total === null ? part.length < limit : seen >= total;
      if (part.length === 0 || isLast) return { items, skipped };
    } catch (error) {
      if (limit > 1 || !isTooLarge(error) || ++inARow > MOST_UNREADABLE) throw error;
      seen++;
      skipped++;
      if (total !== null && seen >= total) return { items, skipped };
    }
  }
  throw new LazarusError("forge-answer", `${doing}: more than ${MOST_PAGES} pages`);
}
