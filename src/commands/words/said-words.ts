import type { Cell, Run } from "../../cells/cell.ts";
import { code, join, type Markdown, md } from "../../gitea/markdown.ts";
import type { Said } from "../../protocol/shapes.ts";
import { formatCost, formatCount } from "../../units.ts";

const WORDS_CHARS = 300;
const COMMAND_CHARS = 80;
const MOST_COMMANDS = 3;
const MOST_DENIALS = 3;

/**
 * Why an agent changed nothing, where its own events tell: `each of its 5 commands failed`. Null where they
 * do not.
 */
export function whyNothing(said: Said | null): string | null {
  if (said === null) return null;
  const { commands, failed, denials } = said;
  if (denials > 0) return `it was not allowed to do what it tried (${formatCount(denials, "denial")})`;
  if (commands === null || commands === 0 || failed !== commands) return null;
  return commands === 1 ? "its only command failed" : `each of its ${commands} commands failed`;
}

/** `6 turns, 0.42 USD`, as far as the agent tells; empty where it does not. */
export function usage(said: Said | null): string {
  if (said === null) return "";
  const turns = said.turns === null ? [] : [formatCount(said.turns, "turn")];
  return [...turns, ...(said.costUsd === null ? [] : [formatCost(said.costUsd)])].join(", ");
}

/** What an agent said and did in its last run, each a line: its words are marked as its own. */
export function saidLines(cell: Cell, run: Run | null): Markdown[] {
  const said = cell.harvest?.said ?? null;
  if (said === null) return [];
  const agent = run?.agent ?? cell.agent;
  const lines: Markdown[] = [];
  // A report and a question stand below in full.
  const isSaidElsewhere = cell.harvest?.question != null;
  if (said.words !== "" && !isSaidElsewhere) lines.push(md`${agent} says: ${short(said.words, WORDS_CHARS)}`);
  if (said.ran.length > 0) lines.push(ranLine(said));
  if (said.denials > 0) lines.push(deniedLine(said));
  const isTold = ["quota", "not-logged-in", "no-credit", "crashed"].includes(run?.exitClass ?? "");
  if (said.trouble !== "" && !isTold) lines.push(md`What it was told last: ${said.trouble}`);
  return lines;
}

/** ``It ran 5 commands, at last `npm test`, exit 1 · `git commit -m x`, exit 0``. */
function ranLine(said: Said): Markdown {
  const shownRan = said.ran.slice(-MOST_COMMANDS);
  const last = shownRan.map((one, index) => {
    // What stopped all of them is said once.
    const isSaidLater = shownRan.slice(index + 1).some((later) => later.end === one.end);
    const end = isSaidLater ? "" : one.end;
    const command = code(short(one.command, COMMAND_CHARS));
    if (one.exit === null) return one.isFailed ? md`${command}, which failed${because(end)}` : command;
    return md`${command}, exit ${one.exit}${because(end)}`;
  });
  const shown = join(last, " · ");
  if (said.commands !== null && said.commands <= last.length) return md`It ran ${shown}`;
  return said.commands === null
    ? md`It ran, at last, ${shown}`
    : md`It ran ${said.commands} commands, at last ${shown}`;
}

function because(end: string): string {
  return end === "" ? "" : ` (${short(end, 120)})`;
}

function deniedLine(said: Said): Markdown {
  const first = said.denied
    .slice(0, MOST_DENIALS)
    .map(
      ({ what, why }) => md`${what === "" ? md`a tool` : code(short(what, COMMAND_CHARS))}${because(why)}`,
    );
  const left = said.denials - first.length;
  const more = left > 0 ? ` · and ${left} more` : "";
  return md`Its own settings did not allow it: ${join(first, " · ")}${more}`;
}

function short(text: string, mostChars: number): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= mostChars ? line : `${line.slice(0, mostChars).trimEnd()}…`;
}
