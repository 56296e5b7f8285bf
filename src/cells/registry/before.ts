import type { Cell } from "../cell.ts";
import { type Before, isInterrupted } from "../prompt.ts";
import type { Registry } from "./registry.ts";

/**
 * What went before the next prompt of a cell: how its last run ended, what it asked, and which words of
 * people were perhaps never read to the end.
 */
export function beforeOf(
  cell: Pick<Cell, "id" | "harvest">,
  registry: Pick<Registry, "runs" | "prompts" | "messages">,
): Before {
  const runs = registry.runs(cell.id);
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
  return { last, question, open };
}
