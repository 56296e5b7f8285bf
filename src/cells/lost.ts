import type { Cell } from "./cell.ts";

/**
 * Its runner was given up, and its directory with it; a run that is asked for begins in a new one.
 * What people made of its draft before stays its outcome.
 */
export function isLost(cell: Pick<Cell, "state" | "outcome" | "sealedAt" | "closing">): boolean {
  const { state, outcome, sealedAt, closing } = cell;
  const wasMade = outcome === "lost" || outcome === "merged" || outcome === "rejected";
  return state === "archived" && wasMade && sealedAt === null && closing === null;
}

/** Whether an archived cell can be brought back, from its archive or anew. */
export function canComeBack(cell: Pick<Cell, "state" | "outcome" | "sealedAt" | "closing">): boolean {
  return cell.state === "archived" && cell.closing === null && (cell.sealedAt !== null || isLost(cell));
}
