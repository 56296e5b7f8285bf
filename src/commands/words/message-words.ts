import type { Cell, Run } from "../../cells/cell.ts";
import type { Message } from "../../cells/registry/messages.ts";
import { type Markdown, md } from "../../gitea/markdown.ts";
import { reactable } from "../posting/answer.ts";
import { hint } from "./card-findings.ts";
import { timeUtc } from "./run-words.ts";
import { list } from "./sentence.ts";

/** What waits to be told to a cell's agent, and what of it never was; none where there is nothing to say. */
export function messageLines(
  cell: Cell,
  { messages, last }: { readonly messages: readonly Message[]; readonly last: Run | null },
): Markdown[] {
  const waiting = messages.filter(({ state }) => state === "waiting");
  const dropped = messages.filter(({ state }) => state === "dropped");
  const lines: Markdown[] = [];
  const [first] = waiting;
  if (first !== undefined) {
    const what = waiting.length === 1 ? "1 message waits" : `${waiting.length} messages wait`;
    const whom = [...new Set(waiting.map((one) => one.agent ?? last?.agent ?? cell.agent))];
    const from = `${list(authors(waiting))}, ${timeUtc(first.at, cell.createdAt)}`;
    const isResting = cell.state === "idle" && last?.state !== "waiting" && last?.state !== "admitted";
    const how = isResting
      ? md` ${hint(cell, "revive")} gives ${waiting.length === 1 ? "it" : "them"}.`
      : md``;
    lines.push(md`${what} for ${list(whom)}'s next turn: ${from}. ${takenBack(cell, waiting)}${how}`);
  }
  for (const why of new Set(dropped.map((one) => one.why ?? "the cell ended"))) {
    const those = dropped.filter((one) => (one.why ?? "the cell ended") === why);
    const what = those.length === 1 ? "A message" : `${those.length} messages`;
    lines.push(
      md`${what} of ${list(authors(those))} ${those.length === 1 ? "was" : "were"} never given: ${why}.`,
    );
  }
  for (const late of messages.filter((one) => one.state === "given" && one.why !== null))
    if (late.run === last?.n) lines.push(md`A message of ${late.author.login} was ${late.why ?? ""}.`);
  return lines;
}

/** How whoever wrote them takes them back: nobody tells of what is deleted elsewhere than in a thread. */
function takenBack(cell: Cell, waiting: readonly Message[]): Markdown {
  const isInThread = ({ asker }: Message) => asker.via === "forge" && reactable(asker) !== null;
  const other = waiting.find((one) => !isInThread(one));
  const byCommand =
    other === undefined ? "" : md`${hint(cell, "tell", `--retract ${other.id}`)} takes it back. `;
  const byDeleting = waiting.some(isInThread) ? "Deleting the comment takes it back; edits" : "Edits";
  return md`${byCommand}${byDeleting} are not read.`;
}

function authors(messages: readonly Message[]): string[] {
  return [...new Set(messages.map(({ author }) => author.login))];
}
