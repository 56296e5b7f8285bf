import { type Cell, isVisit, type Run } from "../cell.ts";
import { rememberRevival } from "../registry/last-revive.ts";
import type { ReportDeps } from "./deps.ts";

/**
 * A run, or the setup for it, has begun in a cell. One that came back from its archive lives as long as a new
 * one.
 */
export function wake(deps: ReportDeps, cell: Cell, run: Run, why = workingOn(run)): void {
  const { registry, clock, config, announce } = deps;
  if (cell.state === "archived") {
    const expiresAt = clock.now() + config.limits.ttlMs;
    registry.update(cell.id, { expiresAt, ttlWarnedFor: null, keepUntil: null });
    rememberRevival(cell, registry);
  }
  registry.move(cell.id, {
    from: cell.state,
    to: "active",
    who: run.isAutomatic ? "lazarus" : run.requester.login,
    why,
  });
  if (cell.state === "proposed") announce({ kind: "begun", cell });
}

/** No run is at work in an active cell any more. */
export function rest(
  { registry, steps }: Pick<ReportDeps, "registry" | "steps">,
  cell: Cell,
  step: { readonly who: string; readonly why: string },
): void {
  registry.move(cell.id, { from: "active", to: "idle", ...step });
  steps.mark(cell.id);
}

/** A cell that was asked for came to nothing before it began. `isNews`: nobody decided that. */
export function neverBegan(
  { registry, announce }: Pick<ReportDeps, "registry" | "announce">,
  cellId: string,
  why: string,
  isNews: boolean,
): void {
  announce({ kind: "never-began", cell: registry.mustCell(cellId), why, isNews });
}

/** `working: allegro, told by dev, on top of a commit that people pushed`. */
export function workingOn(run: Run): string {
  const { agent, people, turnKind, isAutomatic, requester } = run;
  if (isVisit(run)) return `looked at by ${agent}, invited by ${requester.login}`;
  const told = turnKind === "tell" && !isAutomatic ? `, told by ${requester.login}` : "";
  if (people === null || !people.isTaken) return `working: ${agent}${told}`;
  return `working: ${agent}${told}, on top of ${people.count === 1 ? "a commit" : `${people.count} commits`} that people pushed`;
}
