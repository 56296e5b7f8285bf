import type { Cell } from "../cells/cell.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

export const stop: Verb = {
  name: "stop",
  summary: "ends the current run; the cell is idle, nothing is lost",
  usage: "stop [CELL]",
  examples: ["stop", "stop 4f1c0b7e"],
  who: "executor",
  flags: {},
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "lifecycle" | "inviting">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "stop", role: "executor", fits: (cell) => hasRun(cell, deps) },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!hasRun(cell, deps)) return refuse("refused", replies.nothingRuns(cell));
    return {
      kind: "done",
      line: replies.stopping(cell),
      data: { id: cell.id },
      effects: () => {
        deps.lifecycle.stop(cell, origin.person.login);
        // What was taken out of the line holds nobody up who only looks.
        deps.inviting.look(cell.id);
      },
    };
  },
};

function hasRun(cell: Cell, deps: Pick<Deps, "registry">): boolean {
  if (deps.registry.checks.atWork(cell.id) !== null) return true;
  const state = deps.registry.lastRun(cell.id)?.state;
  return state === "waiting" || state === "admitted" || state === "running";
}
