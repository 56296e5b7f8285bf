import type { Cell } from "../cells/cell.ts";
import { heldFor } from "../cells/steps/decide.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { cannotPublish } from "./words/held-back.ts";
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
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "lifecycle">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "close", role: "director", fits: isOpen },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!isOpen(cell)) return refuse("refused", replies.cannotClose(cell));
    const discard = command.flags["--discard"] === true;
    if (!discard && cell.repositoryTrouble !== null)
      return refuse("refused", replies.cannotPublish(cell, [cell.repositoryTrouble], null));
    if (!discard && isHeldBack(cell, deps)) return refuse("refused", cannotPublish(cell, heldFor(cell)));
    return {
      kind: "done",
      line: replies.closing(cell),
      data: { id: cell.id },
      effects: () =>
        deps.lifecycle.close(
          cell,
          {
            by: origin.person.login,
            discard,
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

/** Whether all that there is of its work is held back: what a run leaves that still runs, nobody knows. */
function isHeldBack(cell: Cell, deps: Pick<Deps, "registry">): boolean {
  if (cell.state !== "idle" || heldFor(cell).length === 0) return false;
  const last = deps.registry.lastUnwithdrawnRun(cell.id);
  return last === null || last.startedAt === null || last.collectedAt !== null;
}
