import { findCell } from "./access/find-cell.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { guestReplies } from "./words/guest-words.ts";
import { replies } from "./words/replies.ts";

export const destroy: Verb = {
  name: "destroy",
  summary: "scrubs the cell from disk; its branch and pull request stay on the forge",
  usage: "destroy [CELL] [--force]",
  examples: ["destroy 4f1c0b7e", "destroy 4f1c0b7e --force"],
  who: "director",
  flags: {
    "--force": {
      takes: "switch",
      help: "also a cell that is not archived, or is being revived: what was not published is lost",
    },
  },
  async run(command, origin, deps: Pick<Deps, "registry" | "rights" | "clock" | "lifecycle">) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "destroy", role: "director" },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const by = origin.person.login;
    if (command.flags["--force"] === true && found.own !== "director")
      return refuse("refused", guestReplies.notForGuests(cell, "destroy --force"));
    if (cell.state === "destroyed") return refuse("refused", replies.alreadyDestroyed(cell));
    const isGoing = cell.closing?.thenDestroy === true;
    if (cell.state !== "archived" && !isGoing && command.flags["--force"] !== true)
      return refuse("refused", replies.notArchived(cell));
    const last = deps.registry.lastRun(cell.id)?.state;
    const isComingBack = cell.state === "archived" && (last === "waiting" || last === "admitted");
    if (isComingBack && !isGoing && command.flags["--force"] !== true)
      return refuse("refused", replies.comesBack(cell));
    return {
      kind: "done",
      line: replies.destroying(cell),
      data: { id: cell.id },
      effects: () => deps.lifecycle.destroy(cell, by),
    };
  },
};
