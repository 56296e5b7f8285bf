import type { Cell } from "../cells/cell.ts";
import { heldFor } from "../cells/steps/decide.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Deps, refuse, type Verb } from "./command.ts";
import { replies } from "./words/replies.ts";

const ALLOW = "--allow-protected";

export const publish: Verb = {
  name: "publish",
  summary: "pushes what was held back, after a director looked at it",
  usage: "publish [CELL] [--allow-protected]",
  examples: ["publish", "publish 4f1c0b7e --allow-protected"],
  who: "director",
  flags: {
    [ALLOW]: {
      takes: "switch",
      help: "also changes that decide what runs next, such as workflows; never secrets",
    },
  },
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "lifecycle">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "publish", role: "director", fits: (cell) => whyNot(cell, true) === null },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const refusal = whyNot(cell, command.flags[ALLOW] === true);
    if (refusal !== null) return refusal;
    return {
      kind: "done",
      line: replies.publishing(cell),
      data: { id: cell.id },
      effects: () => deps.lifecycle.release(cell, origin.person.login),
    };
  },
};

function whyNot(cell: Cell, allowsProtected: boolean): Answer | null {
  const { harvest } = cell;
  if (cell.state !== "idle" || harvest === null) return refuse("refused", replies.nothingHeldBack(cell));
  if (harvest.forbidden.length > 0) return refuse("refused", replies.neverPublished(cell, harvest.forbidden));
  const isHeld = heldFor(cell).length > 0 || cell.pushRefused !== null;
  if (!isHeld || harvest.tip === null || harvest.tip === cell.publishedTip) {
    return refuse("refused", replies.nothingHeldBack(cell));
  }
  if (harvest.protectedPaths.length > 0 && !allowsProtected) {
    return refuse("refused", replies.needsAllowProtected(cell, harvest.protectedPaths));
  }
  return null;
}
