import type { Cell, Run } from "../cell.ts";
import { decide } from "./decide.ts";

/** What is not over after so long is told. */
const PASSING_MS = 4_000;

/**
 * How long to wait with telling how a cell stands, in ms: where all goes well that is over in a moment (its
 * agent is being started; what it left is looked at, pushed, and its draft opened). 0: it stays so.
 */
export function passingMs(cell: Cell, last: Run | null): number {
  return isPassing(cell, last) ? PASSING_MS : 0;
}

function isPassing(cell: Cell, last: Run | null): boolean {
  if (cell.state === "proposed") return last?.state === "admitted" && !cell.waitsForApproval;
  const step = cell.state === "idle" ? decide(cell, last).kind : null;
  return step === "collect" || step === "push" || step === "draft";
}
