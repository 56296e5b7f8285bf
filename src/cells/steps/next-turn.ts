import { isResting } from "../cell.ts";
import { nextPrompt } from "../prompt.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beforeOf } from "../registry/before.ts";
import { isGoingOnWithTeam } from "../registry/team-goes-on.ts";
import { isUncollected } from "./decide.ts";
import { type BeginDeps, mayBegin } from "./may-begin.ts";
import type { Steps } from "./steps.ts";

/**
 * Begins the turn of the next agent of a cell's team: where the cell is idle, what the one before left was
 * looked at and came to a good end, and nothing else is in line. Answers whether it did.
 */
export function beginNextTurn(deps: BeginDeps & { readonly steps: Steps }, cellId: string): boolean {
  const { registry, steps } = deps;
  const cell = registry.mustCell(cellId);
  if (!isResting(cell, registry.lastRun(cellId)) || cell.closing !== null) return false;
  const [next] = registry.team.waiting(cellId);
  const [last, kept] = [registry.lastRun(cellId), registry.lastKeptRun(cellId)];
  if (next === undefined || last === null || kept === null) return false;
  if (["waiting", "admitted", "running"].includes(last.state)) return false;
  if (isUncollected(kept) || isUncollected(last) || !isGoingOnWithTeam(registry, cellId)) return false;
  if (!mayBegin(deps, cell, { isAsked: false })) return false;
  registry.update(cellId, { ...NOTHING_IN_THE_WAY, pushRefused: null, breaker: null });
  // Whoever proposed it may have no right to have anything run: whoever approved it has.
  const requester = next.by ?? registry.proposals.ofCell(cellId)?.approver ?? cell.requester;
  const run = registry.addRun({
    ...{ cellId, agent: next.agent, requester, role: "executor" },
    ...{ turnKind: next.by === null ? "next" : "guest", state: "waiting" },
    prompt: nextPrompt(requester, beforeOf(cell, registry, next.agent)),
  });
  registry.team.begin(cellId, next.place, run);
  steps.admitWaiting();
  steps.card(cellId);
  return true;
}
