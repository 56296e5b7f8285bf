/** How a reason ends that a later success makes untrue. */
const TRIED_AGAIN = "(it is tried again by itself)";
const GIVEN_UP = "(tried often enough: a person must look)";

/** What a card says of a job that failed: `isOver` where it is never tried again by itself. */
export function stuckReason(why: string, isOver: boolean): string {
  return `${why} ${isOver ? GIVEN_UP : TRIED_AGAIN}`;
}

/** Whether a card's reason only says that some job was stuck. */
export function isStuckReason(reason: string | null): boolean {
  return reason !== null && (reason.endsWith(TRIED_AGAIN) || reason.endsWith(GIVEN_UP));
}
