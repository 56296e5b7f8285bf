import type { Cell, Run } from "../cells/cell.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

const DEFAULT_LINES = 50;
const MOST_LINES = 1000;

export const logs: Verb = {
  name: "logs",
  summary: "shows the end of the current or last run's log in words, secrets hidden",
  usage: "logs [CELL] [--tail 50] [--raw]",
  examples: ["logs", "logs 4f1c0b7e --tail 200"],
  who: "executor",
  flags: {
    "--tail": { takes: "value", help: "how many lines, 50 unless said, at most 1000" },
    "--raw": { takes: "switch", help: "the file as the agent wrote it, and not what it says in words" },
  },
  async run(command, origin, deps) {
    const typed = command.flags["--tail"];
    const raw = command.flags["--raw"] === true;
    const lines = typed === undefined ? DEFAULT_LINES : Number(typed);
    if (!Number.isInteger(lines) || lines < 1 || lines > MOST_LINES)
      return refuse("usage", replies.badTail(String(typed)));
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "logs", role: "executor", fits: (cell) => loggedRun(cell, deps) !== undefined },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const run = loggedRun(cell, deps);
    if (run === undefined) return refuse("failed", replies.noLog(cell));
    return {
      kind: "later",
      effects: () => {
        deps.queue.put({
          kind: "tail",
          key: crypto.randomUUID(),
          lane: `tail:${cell.id}`,
          payload: { cellId: cell.id, run: run.n, agent: run.agent, lines, raw, asker: origin.asker },
        });
      },
    };
  },
};

/** The last run that began, unless its log is gone with the cell. */
function loggedRun(cell: Cell, deps: Pick<Deps, "registry">): Run | undefined {
  if (cell.state === "destroyed") return undefined;
  return deps.registry.runs(cell.id).findLast((run) => run.startedAt !== null);
}
