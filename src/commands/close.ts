import { type Cell, includesRole } from "../cells/cell.ts";
import { heldFor, wantsDraft } from "../cells/steps/decide.ts";
import { findCell } from "./access/find-cell.ts";
import { standingIn } from "./access/standing-in.ts";
import { type Deps, refuse, type Verb } from "./command.ts";
import { lastWords } from "./last-words.ts";
import { nameOf } from "./rights.ts";
import { guestReplies } from "./words/guest-words.ts";
import { cannotPublish } from "./words/held-back.ts";
import { replies } from "./words/replies.ts";
import { list } from "./words/sentence.ts";

type CloseDeps = Pick<Deps, "registry" | "rights" | "lifecycle" | "forge" | "clock">;

export const close: Verb = {
  name: "close",
  summary: "publishes what is not published yet, seals the cell and archives it",
  usage: "close [CELL] [--discard] [--merge]",
  examples: ["close", "close 4f1c0b7e --discard", "close 4f1c0b7e --merge"],
  who: "director",
  flags: {
    "--discard": { takes: "switch", help: "do not publish; the seal keeps the work" },
    "--merge": { takes: "switch", help: "merge its pull request as well, where the forge's rules allow it" },
  },
  async run(command, origin, deps: CloseDeps) {
    const found = await findCell(
      command.words[0] ?? null,
      { verb: "close", role: "director", fits: isOpen },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    const isToMerge = command.flags["--merge"] === true;
    if (isToMerge && found.own !== "director")
      return refuse("refused", guestReplies.notForGuests(cell, "close --merge"));
    if (!isOpen(cell)) return refuse("refused", replies.cannotClose(cell));
    const discard = command.flags["--discard"] === true;
    if (!discard && cell.repositoryTrouble !== null)
      return refuse("refused", replies.cannotPublish(cell, [cell.repositoryTrouble], null));
    if (!discard && isHeldBack(cell, deps)) return refuse("refused", cannotPublish(cell, heldFor(cell)));
    const whyNot = isToMerge ? await whyNotMerged(cell, discard, deps) : null;
    if (whyNot !== null) return refuse("refused", replies.notMerged(cell, whyNot));
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
            ...(isToMerge ? { isToMerge } : {}),
          },
          `closed by ${origin.person.login}`,
        ),
    };
  },
};

function isOpen(cell: Cell): boolean {
  return cell.state === "active" || cell.state === "idle";
}

/** What keeps a cell's pull request from being merged with it, as far as that is known before. */
async function whyNotMerged(cell: Cell, discard: boolean, deps: CloseDeps): Promise<string | null> {
  if (discard) return "what is not published cannot be merged: type one of --discard and --merge";
  if (!wantsDraft(cell)) return `#${cell.number} is not its own pull request`;
  if (cell.state !== "idle") return "it is at work: stop it first, and look at what it made";
  const last = deps.registry.lastRun(cell.id);
  if (last?.state === "waiting" || last?.state === "admitted")
    return "its next turn is in line: stop that first";
  if (deps.registry.items.open(cell.id).some((item) => item.kind !== "remark"))
    return "points of reviews are open (/lazarus items)";
  if (cell.pullRequest === null) return "it has no pull request yet";
  const reviews = await deps.forge.reviews(nameOf(cell.repository), cell.pullRequest);
  const objectors: string[] = [];
  for (const { author, state } of lastWords(reviews).values()) {
    if (state !== "changes-requested") continue;
    const standing = await standingIn(cell, author, deps);
    const counts =
      standing.kind !== "known" || (standing.role !== null && includesRole(standing.role, "executor"));
    if (counts) objectors.push(author.login);
  }
  return objectors.length === 0 ? null : `${list(objectors)} asked for changes and did not say otherwise`;
}

/** Whether all that there is of its work is held back: what a run leaves that still runs, nobody knows. */
function isHeldBack(cell: Cell, deps: Pick<Deps, "registry">): boolean {
  if (cell.state !== "idle" || heldFor(cell).length === 0) return false;
  const last = deps.registry.lastUnwithdrawnRun(cell.id);
  return last === null || last.startedAt === null || last.collectedAt !== null;
}
