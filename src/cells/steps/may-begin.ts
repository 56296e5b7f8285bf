import type { Announcement } from "../announcement.ts";
import { type BudgetConfig, restOf } from "../budget.ts";
import type { Cell } from "../cell.ts";
import { isQuiet } from "../quiet.ts";
import type { Registry } from "../registry/registry.ts";

export interface BeginDeps {
  readonly registry: Registry;
  readonly config: BudgetConfig;
  announce(announcement: Announcement): void;
}

/**
 * Whether a turn may begin that nobody types for just now. `isAsked`: a person with the right to said
 * something to the agent. Where its budget or its turns are used up, people hear of it once.
 */
export function mayBegin(deps: BeginDeps, cell: Cell, { isAsked }: { readonly isAsked: boolean }): boolean {
  const { registry, announce } = deps;
  const rest = restOf(cell, deps);
  if (rest === null) return isAsked || !isQuiet(cell, registry);
  const run = registry.lastKeptRun(cell.id);
  if (run !== null) announce({ kind: "rests", cell, run, rest });
  return false;
}
