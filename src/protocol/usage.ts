import * as z from "zod";

/**
 * What an agent says it used: its own words, a brake and a ledger, no proof. Tokens are all that went through
 * its model, cached ones too. Null: it did not tell.
 */
export const usage = z.object({ costUsd: z.number().nullable(), tokens: z.number().nullable() });
export type Usage = z.infer<typeof usage>;

const MOST_USD = 1_000_000;
const MOST_TOKENS = 1_000_000_000_000;

/** An amount of money that can be one; null where it cannot. Zero is what agents say who know no price. */
export function costIn(value: unknown): number | null {
  return isAmount(value, MOST_USD) && value > 0 ? value : null;
}

/** The same for a count of tokens. */
export function tokensIn(value: unknown): number | null {
  return isAmount(value, MOST_TOKENS) ? Math.round(value) : null;
}

function isAmount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= most;
}

/** The larger of both, each by itself: what was told once stays told. */
export function mostOf(one: Usage, other: Usage): Usage {
  return { costUsd: larger(one.costUsd, other.costUsd), tokens: larger(one.tokens, other.tokens) };
}

function larger(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}
