import { randomInt } from "node:crypto";

/** Whether cells get users of their own here. */
export const IS_ROOT = process.geteuid?.() === 0;

/**
 * A range for one Lazarus alone: processes are ended by their user, so what else is tested at the same time
 * must have other users.
 */
export function freeUids(): { readonly first: number; readonly last: number } {
  const first = 1_000_000 + 100 * randomInt(10_000_000);
  return { first, last: first + 99 };
}
