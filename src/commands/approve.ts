import type { Cell } from "../cells/cell.ts";
import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

export const approve: Verb = {
  name: "approve",
  summary: "lets a cell that waits for approval start, with the brief it shows",
  usage: "approve [CELL]",
  examples: ["approve", "approve 4f1c0b7e"],
  who: "director",
  flags: {},
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "lifecycle">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "approve", role: "director", fits: isWaiting },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!isWaiting(cell)) return refuse("refused", replies.notWaiting(cell));
    return {
      kind: "done",
      line: replies.approved(cell),
      data: { id: cell.id },
      effects: () => deps.lifecycle.approve(cell),
    };
  },
};

function isWaiting(cell: Cell): boolean {
  return cell.state === "proposed" && cell.waitsForApproval;
}
