import type { Cell } from "../cells/cell.ts";
import { reachable } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

export const decline: Verb = {
  name: "decline",
  summary: "turns down a cell that waits; it is archived without ever being made",
  usage: "decline [CELL] [why]",
  examples: ["decline", "decline 4f1c0b7e out of scope"],
  who: "director",
  flags: {},
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "lifecycle">) {
    const [first, ...rest] = command.words;
    const isCell = first !== undefined && (origin.isOperator || reachable(first, origin, deps).length > 0);
    const why = (isCell ? rest : command.words).join(" ");
    const waiting = (cell: Cell) => {
      const run = cell.state === "proposed" ? deps.registry.lastRun(cell.id) : null;
      return run?.state === "waiting" ? run : null;
    };
    const found = await findCell(
      isCell ? first : null,
      { verb: "decline", role: "director", fits: (cell) => waiting(cell) !== null },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const run = waiting(cell);
    if (run === null) return refuse("refused", replies.notWaiting(cell));
    const by = origin.person.login;
    return {
      kind: "done",
      line: replies.declined(cell),
      data: { id: cell.id },
      effects: () =>
        deps.lifecycle.withdraw(cell, run, {
          who: by,
          why: why === "" ? `declined by ${by}` : `declined by ${by}: ${why}`,
          outcome: "declined",
        }),
    };
  },
};
