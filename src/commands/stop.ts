import { findCell } from "./access/find-cell.ts";
import { refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

export const stop: Verb = {
  name: "stop",
  summary: "ends the current run; the cell is idle, nothing is lost",
  usage: "stop [CELL]",
  examples: ["stop", "stop 4f1c0b7e"],
  who: "executor",
  flags: {},
  async run(command, origin, deps) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "stop", role: "executor" },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const run = deps.registry.lastRun(cell.id);
    const canStop =
      run !== null && (run.state === "waiting" || run.state === "admitted" || run.state === "running");
    if (!canStop) return refuse("refused", replies.nothingRuns(cell));
    return {
      kind: "done",
      line: replies.stopping(cell),
      data: { id: cell.id },
      effects: () => {
        deps.lifecycle.stop(cell, origin.person.login);
      },
    };
  },
};
