import { isResting } from "../cell.ts";
import { toldPrompt } from "../prompt.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { beforeOf } from "../registry/before.ts";
import { isUncollected } from "./decide.ts";
import { messagesFor } from "./give-messages.ts";
import { type BeginDeps, mayBegin } from "./may-begin.ts";
import type { Steps } from "./steps.ts";

/**
 * Begins a turn because people told a cell's agent something: where the cell is idle, what its last run left
 * was looked at, and nothing else is in line. Answers whether it did. `checked`: the rights of whoever wrote
 * the only message were asked about just now.
 */
export function beginToldTurn(
  deps: BeginDeps & { readonly steps: Steps },
  cellId: string,
  { checked = false } = {},
): boolean {
  const { registry, steps } = deps;
  const cell = registry.mustCell(cellId);
  if (!isResting(cell, registry.lastRun(cellId)) || cell.closing !== null) return false;
  const [last, kept] = [registry.lastRun(cellId), registry.lastKeptRun(cellId)];
  if (last !== null && ["waiting", "admitted", "running"].includes(last.state)) return false;
  if ([last, kept].some((run) => run !== null && isUncollected(run))) return false;
  const [first] = registry.messages.waiting(cellId);
  if (first === undefined || !mayBegin(deps, cell, { isAsked: true })) return false;
  const agent = first.agent ?? kept?.agent ?? cell.agent;
  const messages = messagesFor({ cellId, agent }, registry);
  const requester = messages.at(-1)?.author ?? first.author;
  registry.addMember(cellId, { name: agent, kind: "bot", role: "executor" });
  registry.update(cellId, { ...NOTHING_IN_THE_WAY, pushRefused: null, breaker: null });
  const prompt = toldPrompt(requester, beforeOf(cell, registry, agent));
  const asked = { cellId, agent, requester, role: "executor", turnKind: "tell", prompt } as const;
  const n = registry.addRun({ ...asked, state: "waiting" });
  const isAlone = messages.length === 1 && registry.items.open(cellId).length === 0;
  steps.admitWaiting(checked && isAlone ? { checked: { cellId, n } } : {});
  steps.card(cellId);
  return true;
}
