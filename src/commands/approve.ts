import type { Cell } from "../cells/cell.ts";
import { reachable } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import { type Answer, type Command, type Deps, type Origin, refuse, type Verb } from "./command.ts";
import { approveProposal } from "./proposals/approve-proposal.ts";
import { replies } from "./words/replies.ts";

export const approve: Verb = {
  name: "approve",
  summary: "lets a cell that waits for approval start, with the plan of this hash",
  usage: "approve [CELL] [HASH] [--with-comments]",
  examples: ["approve 3fa9c1d2", "approve 4f1c0b7e 3fa9c1d2 --with-comments", "approve"],
  who: "director",
  flags: {
    "--with-comments": {
      takes: "switch",
      help: "gives the agents what people said below the proposal, too, each comment marked",
    },
    "--yes": { takes: "switch", help: "on the command line: whatever the plan is, without its hash" },
  },
  async run(command, origin, deps: Deps) {
    const words = readWords(command, origin, deps);
    if (words === null) return refuse("usage", replies.usage(approve.usage));
    const found = await findCell(
      words.cell,
      { verb: "approve", role: "director", words: words.hash ?? "", fits: isWaiting },
      { origin, deps },
    );
    if ("refusal" in found) return found.refusal;
    const { cell } = found;
    if (!isWaiting(cell)) return refuse("refused", replies.notWaiting(cell));
    if (command.flags["--yes"] === true && !origin.isOperator)
      return refuse("usage", replies.yesIsForTerminals(cell));
    const isProposal = deps.registry.proposals.ofCell(cell.id) !== null;
    if (isProposal) return approveProposal(cell, { command, hash: words.hash }, { origin, deps });
    return approveSummon(cell, { command, hash: words.hash }, deps);
  },
};

/** What waits since a summon is as it was then: no edit reaches its brief. */
function approveSummon(
  cell: Cell,
  { command, hash }: { readonly command: Command; readonly hash: string | null },
  deps: Pick<Deps, "lifecycle">,
): Answer {
  if (command.flags["--with-comments"] === true) return refuse("usage", replies.onlyProposals());
  if (hash !== null && !cell.briefSha256.startsWith(hash))
    return refuse("refused", replies.otherHash(cell, hash));
  return {
    kind: "done",
    line: replies.approved(cell),
    data: { id: cell.id },
    effects: () => deps.lifecycle.approve(cell),
  };
}

const HASH = /^[0-9a-f]{8,64}$/i;

/** A lone word is a CELL where one is reachable by it, else the hash that a plan shows. */
function readWords(
  { words }: Command,
  origin: Origin,
  deps: Pick<Deps, "registry">,
): { readonly cell: string | null; readonly hash: string | null } | null {
  const [first, second, ...rest] = words;
  if (rest.length > 0 || (second !== undefined && !HASH.test(second))) return null;
  const hash = (word: string) => word.toLowerCase();
  if (first === undefined) return { cell: null, hash: null };
  if (second !== undefined) return { cell: first, hash: hash(second) };
  const isHash = HASH.test(first) && origin.thread !== null && reachable(first, origin, deps).length === 0;
  return isHash ? { cell: null, hash: hash(first) } : { cell: first, hash: null };
}

function isWaiting(cell: Cell): boolean {
  return cell.state === "proposed" && cell.waitsForApproval;
}
