import { visitPrompt } from "../prompt.ts";
import type { Registry } from "../registry/registry.ts";
import { isUncollected } from "./decide.ts";
import type { Steps } from "./steps.ts";

/**
 * Lets the next agent look at a cell's work that somebody invited as an observer: where the cell is idle,
 * what its last run left was looked at, and nothing else is in line. It interrupts nobody, and changes
 * nothing. Answers whether it did.
 */
export function beginVisit(
  { registry, steps }: { readonly registry: Registry; readonly steps: Steps },
  cellId: string,
): boolean {
  const cell = registry.mustCell(cellId);
  if (cell.state !== "idle" || cell.closing !== null) return false;
  const [visit] = registry.visits.waiting(cellId);
  const [last, kept] = [registry.lastRun(cellId), registry.lastKeptRun(cellId)];
  if (visit === undefined || last === null) return false;
  if (["waiting", "admitted", "running"].includes(last.state)) return false;
  if ([last, kept].some((run) => run !== null && isUncollected(run))) return false;
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
