import type { Cell } from "../cells/cell.ts";
import { findCell } from "./access/find-cell.ts";
import { refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

export const close: Verb = {
  name: "close",
  summary: "publishes what is not published yet, seals the cell and archives it",
  usage: "close [CELL] [--discard]",
  examples: ["close", "close 4f1c0b7e --discard"],
  who: "director",
  flags: {
    "--discard": { takes: "switch", help: "do not publish; the seal keeps the work" },
    "--merge": { takes: "switch", help: "merge the pull request as well", isLater: true },
  },
  async run(command, origin, deps) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "close", role: "director", fits: isOpen },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!isOpen(cell)) return refuse("refused", replies.cannotClose(cell));
    return {
      kind: "done",
      line: replies.closing(cell),
      data: { id: cell.id },
      effects: () =>
        deps.lifecycle.close(
          cell,
          {
            by: origin.person.login,
            discard: command.flags["--discard"] === true,
            thenDestroy: false,
            outcome: null,
            person: origin.isOperator ? null : origin.person.login,
          },
          `closed by ${origin.person.login}`,
        ),
    };
  },
};

function isOpen(cell: Cell): boolean {
  return cell.state === "active" || cell.state === "idle";
}
