import * as z from "zod";

/** The seal of an archived cell, as control keeps it besides on the cell's runner. */
export const stored = z.object({
  /** Where: a directory of control's host. */
  place: z.string(),
  digest: z.string(),
  bytes: z.number(),
  /** Epoch ms. */
  at: z.number(),
  /** Nothing of the cell lies on any runner. */
  isOnly: z.boolean(),
});
export type Stored = z.infer<typeof stored>;

interface Archived {
  readonly state: string;
  readonly sealedAt: number | null;
  readonly closing: unknown;
  readonly stored: Stored | null;
}

/** The seal that is kept of it is what it is brought back from, on whatever runner. */
export function mayMove<C extends Archived>(cell: C): cell is C & { readonly stored: Stored } {
  return cell.state === "archived" && cell.sealedAt !== null && cell.stored !== null && cell.closing === null;
}

/** It lies on no runner. */
export function isOnlyStored(cell: Archived): boolean {
  return mayMove(cell) && cell.stored.isOnly;
}
