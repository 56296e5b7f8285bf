import { type Cell, isVisit } from "../cell.ts";
import { EXITS } from "../exit.ts";
import { handoffText } from "../handoff.ts";
import { type Before, isInterrupted } from "../prompt.ts";
import type { Registry } from "./registry.ts";

/**
 * What went before the next prompt of a cell: how its last run ended, what it asked, which words of people
 * were perhaps never read to the end, and what it left where another agent is to go on (`next`). `n`: the run
 * that is asked, where it is in line already.
 */
export function beforeOf(
  cell: Pick<Cell, "id" | "harvest">,
  registry: Pick<Registry, "runs" | "prompts" | "messages">,
  next: string,
  n = Number.POSITIVE_INFINITY,
): Before {
  const runs = registry.runs(cell.id).filter((run) => run.n < n && !isVisit(run));
  const last = runs.findLast((run) => run.startedAt !== null) ?? null;
  const done = runs.findLastIndex((run) => run.startedAt !== null && !isInterrupted(run.exitClass));
  const messages = registry.messages.of(cell.id);
  const open = runs.slice(done + 1).flatMap((run) => {
    const told = messages
      .filter((one) => one.run === run.n)
      .map(({ author, said }) => ({ from: author.login, said }));
    // Whoever took a run out of the line took back what it was asked.
    if (run.state === "withdrawn") return told;
    const { from, said } = registry.prompts.of({ cellId: cell.id, n: run.n });
    return said === null ? told : [{ from: from.login, said }, ...told];
  });
  const question = last?.exitClass === "question" ? (cell.harvest?.question ?? null) : null;
  const isAnother = last !== null && last.agent !== next;
  const ended = last?.exitClass == null ? "nobody knows how" : EXITS[last.exitClass].words;
  const left = isAnother && last.left !== null ? handoffText(last.agent, last.left, ended) : null;
  return { last, question, open, left };
}
