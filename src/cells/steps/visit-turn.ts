import type { Cell } from "../cell.ts";
import { visitPrompt } from "../prompt.ts";
import type { Registry } from "../registry/registry.ts";
import { isGoingOnWithTeam } from "../registry/team-goes-on.ts";
import { heldFor, isUncollected } from "./decide.ts";
import { type BeginDeps, mayBegin } from "./may-begin.ts";
import type { Steps } from "./steps.ts";

/**
 * Lets the next agent look at a cell's work that somebody invited as an observer: where the cell is idle,
 * what its last run left was looked at and checked, and nothing else is in line. It interrupts nobody, and
 * changes nothing. Answers whether it did.
 */
export function beginVisit(deps: BeginDeps & { readonly steps: Steps }, cellId: string): boolean {
  const { registry, steps } = deps;
  const cell = registry.mustCell(cellId);
  if (cell.state !== "idle" || cell.closing !== null) return false;
  const [visit] = registry.visits.waiting(cellId);
  const [last, kept] = [registry.lastRun(cellId), registry.lastKeptRun(cellId)];
  if (visit === undefined || last === null) return false;
  if (["waiting", "admitted", "running"].includes(last.state)) return false;
  if ([last, kept].some((run) => run !== null && isUncollected(run))) return false;
  if (!isSettled(cell, { registry, steps }) || !mayBegin(deps, cell, { isAsked: true })) return false;
  const { agent, by } = visit;
  const tip = cell.harvest?.tip ?? null;
  const run = registry.addRun({
    ...{ cellId, agent, requester: by, role: "observer", turnKind: "guest", state: "waiting" },
    prompt: visitPrompt(by, { base: cell.baseCommit, tip }),
  });
  registry.visits.begin(visit, run);
  steps.admitWaiting();
  steps.card(cellId);
  return true;
}

/** Whether nothing follows by itself from what was made: it is checked, or will not be. */
function isSettled(
  cell: Cell,
  { registry, steps }: { readonly registry: Registry; readonly steps: Steps },
): boolean {
  const tip = cell.harvest?.tip ?? null;
  if (tip === null || !steps.checks.areConfigured(cell) || isGoingOnWithTeam(registry, cell.id)) return true;
  const isBlocked = heldFor(cell).length > 0 || cell.pushRefused !== null || cell.repositoryTrouble !== null;
  return isBlocked || (cell.publishedTip === tip && steps.checks.areOver(cell));
}
