import type { Harvest } from "../queue/shapes.ts";
import type { Cell, Closing, Outcome, Run } from "./cell.ts";

/** What a cell needs next; found afresh from what is written down, so that asking twice does no harm. */
export type Step =
  | { readonly kind: "nothing" }
  | { readonly kind: "stop"; readonly run: Run }
  | { readonly kind: "collect"; readonly run: Run }
  | { readonly kind: "push"; readonly run: Run; readonly tip: string }
  | { readonly kind: "draft" }
  | { readonly kind: "seal" }
  | { readonly kind: "scrub" }
  /** Closing cannot go on: back to idle, with the reason. */
  | { readonly kind: "give-up"; readonly why: string };

const NOTHING: Step = { kind: "nothing" };

/** Decides the next step of a cell from its row and its last run. Pure. */
export function decide(cell: Cell, last: Run | null): Step {
  if (cell.state === "destroyed" || cell.state === "archived" || cell.state === "proposed") return NOTHING;
  if (cell.closing?.thenDestroy) return { kind: "scrub" };
  if (last !== null && (last.state === "running" || last.state === "admitted")) {
    return cell.closing === null ? NOTHING : { kind: "stop", run: last };
  }
  if (cell.closing?.discard) return { kind: "seal" };
  return publishing(cell, last) ?? (cell.state === "closing" ? { kind: "seal" } : NOTHING);
}

function publishing(cell: Cell, last: Run | null): Step | null {
  if (last !== null && last.state === "ended" && last.startedAt !== null && last.collectedAt === null) {
    return { kind: "collect", run: last };
  }
  // A branch that was merged, and perhaps removed then, is not made again; what came after it stays in the seal.
  if (cell.closing !== null && isEndOfWork(cell.closing)) return null;
  const harvest = cell.harvest;
  if (last === null || harvest === null) return null;
  // Also where nothing of it can be published: whoever closes must have said that it is to be discarded.
  const held = heldFor(cell);
  const blocked = held.length > 0 ? held.join("; ") : cell.pushRefused;
  if (blocked !== null) {
    return cell.state === "closing" ? { kind: "give-up", why: blocked } : NOTHING;
  }
  if (harvest.tip === null) return null;
  if (cell.publishedTip !== harvest.tip) return { kind: "push", run: last, tip: harvest.tip };
  if (wantsDraft(cell) && cell.pullRequest === null) return { kind: "draft" };
  return null;
}

/** Whether people have decided about a cell's pull request: they merged or closed it, and nothing more is to be pushed to it. */
export function isEndOfWork(closing: Pick<Closing, "outcome">): boolean {
  return closing.outcome === "merged" || closing.outcome === "rejected";
}

/** Every reason why what a cell made is not pushed; none where a director let this very tip go. Secrets are never let go. */
export function heldFor(cell: Pick<Cell, "harvest" | "releasedTip">): string[] {
  const { harvest } = cell;
  if (harvest === null) return [];
  const liftable = [...harvest.heldBack, ...harvest.protectedPaths];
  if (harvest.forbidden.length > 0) return [...harvest.forbidden, ...liftable];
  return harvest.tip !== null && cell.releasedTip === harvest.tip ? [] : liftable;
}

/** Whether what a cell made is shown in a pull request of its own: also where it could not go to the branch it was meant for. */
export function wantsDraft(cell: Pick<Cell, "delivery" | "branch" | "publishedBranch">): boolean {
  return cell.delivery === "draft" || (cell.publishedBranch !== null && cell.publishedBranch !== cell.branch);
}

/**
 * How a run is to be remembered. An exit code of 0 is no proof of work and another code no proof of its absence, so what
 * was found decides first; being stopped by a person is not a failure.
 */
export function outcomeOf(run: Pick<Run, "code" | "stopped">, harvest: Harvest): Outcome {
  const ended = run.code === 0 || (run.stopped !== null && !run.stopped.startsWith("over its"));
  if (!ended) return "failed";
  return harvest.changed ? "done" : "nothing-changed";
}
