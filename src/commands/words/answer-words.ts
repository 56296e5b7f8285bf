import { type Cell, shortId } from "../../cells/cell.ts";
import type { Item } from "../../cells/registry/items.ts";
import { code, join, type Markdown, marker, md, mention, raw, table } from "../../gitea/markdown.ts";
import { list, onOneTerminalLine, type Sentence } from "./sentence.ts";
import { columns } from "./status-row.ts";

const MOST_QUOTED_CHARS = 80;
const MOST_WORDS_CHARS = 2_000;

/** What an agent answers in one turn. */
export interface Answers {
  readonly cell: Cell;
  readonly agent: string;
  readonly turn: number;
  /** What was asked in it, answered or not. */
  readonly items: readonly Item[];
  /** Where it is no draft any more nobody is asked for a review: they are named here instead. */
  readonly isDraft: boolean;
  /** What the checks of its work came to, as one sentence; empty where there are none. */
  readonly checks: Markdown;
}

/** By which the answers of one turn are found again. */
export function answersMarker(cell: Pick<Cell, "id">, turn: number): Markdown {
  return marker(`answers:${cell.id}:${turn}`);
}

/** The same of one answer at its line. */
export function answerMarker(cell: Pick<Cell, "id">, item: Item): Markdown {
  return marker(`item:${cell.id}:${item.n}:${item.turn}`);
}

/** The post that says what became of each point, with a row for each. */
export function answersBody({ cell, agent, turn, items, isDraft, checks }: Answers): Markdown {
  const people = [...new Set(items.map((item) => item.author.login))];
  const whom = join(
    people.map((login) => (isDraft ? md`${login}` : mention(login))),
    ", ",
  );
  const commits = new Set(items.flatMap((item) => item.foundCommit ?? []));
  const made =
    commits.size === 0
      ? "without a commit"
      : commits.size === 1
        ? "in 1 commit"
        : `in ${commits.size} commits`;
  const rows = items.map((item) => [raw(String(item.n)), pointOf(item), answerOf(item)]);
  return md`${answersMarker(cell, turn)}
${agent} answers ${whom} ${made}.${checks}

${table(["", "point", "answer"], rows)}

The words are ${agent}'s; Lazarus looked for the commits. Resolve what you are content with. ${code(`/lazarus items ${shortId(cell.id)}`)} shows all points.`;
}

/** The answer to one point, to stand at its line. */
export function answerAtLine(cell: Cell, item: Item): Markdown {
  return md`${answerMarker(cell, item)}\n**${item.n}** ${answerOf(item)}`;
}

/** What was asked for, in a few words. */
function pointOf(item: Item): Markdown {
  const words = short(item.said);
  if (item.path === "") return md`the review: ${words}`;
  const line = item.line || item.oldLine;
  return md`${code(line === 0 ? item.path : `${item.path}:${line}`)} ${words}`;
}

/** What became of it, with what was found of what its agent claims. */
export function answerOf(item: Item): Markdown {
  const words = item.words === "" ? md`` : oneLine(item.words);
  const more = item.words === "" ? md`` : md`: ${words}`;
  switch (item.verdict) {
    case null:
      return md`**no answer**: it stays open`;
    case "done": {
      if (item.foundCommit === null) return md`says done, names no commit of this turn${more}`;
      const elsewhere = item.touches === false ? md`, which does not change that file` : md``;
      return md`done in ${code(item.foundCommit.slice(0, 10))}${elsewhere}${more}`;
    }
    case "declined":
      return md`not done${more}`;
    case "asks":
      return md`asks${more}`;
    case "later":
      return md`left for later${more}`;
    default:
      return item.verdict satisfies never;
  }
}

/** An agent's words in one paragraph, defused. */
function oneLine(words: string): Markdown {
  return md`${words.replace(/\s+/g, " ").slice(0, MOST_WORDS_CHARS)}`;
}

function short(words: string): string {
  const line = words.replace(/\s+/g, " ");
  return line.length <= MOST_QUOTED_CHARS ? line : `${line.slice(0, MOST_QUOTED_CHARS - 1)}…`;
}

/** All items of a cell, as `items` shows them. */
export function itemsTable(items: readonly Item[]): Sentence {
  const rows = items.map((item) => [raw(String(item.n)), item.author.login, pointOf(item), stateOf(item)]);
  const texts = items.map((item) => {
    const place = item.path === "" ? "the review" : `${item.path}:${item.line || item.oldLine}`;
    const words = item.words === "" ? "" : `: ${item.words}`;
    const state = `${item.state}${item.verdict === null ? "" : `, ${item.verdict}`}`;
    const commit = item.foundCommit === null ? "" : ` in ${item.foundCommit.slice(0, 10)}`;
    const parts = [String(item.n), item.author.login, place, `${state}${commit}${words}`, short(item.said)];
    return parts.map((part) => onOneTerminalLine(part).replace(/\s+/g, " "));
  });
  return {
    markdown: table(["", "by", "point", "answer"], rows),
    text: columns([["N", "BY", "AT", "STATE", "POINT"], ...texts]),
  };
}

/** Where an item stands, in words. */
export function stateOf(item: Item): Markdown {
  switch (item.state) {
    case "answered":
      return item.kind === "remark" ? md`passed on` : answerOf(item);
    case "withdrawn":
      return md`withdrawn: ${item.why ?? "taken back"}`;
    case "given":
      return md`being worked on`;
    case "open":
      return item.turn === null ? md`waits` : md`waits, had no answer yet`;
    default:
      return item.state satisfies never;
  }
}

/** What of reviews waits, or is worked on, on a card; none where there is nothing to say. */
export function itemLines(cell: Cell, items: readonly Item[]): Markdown[] {
  const open = items.filter((item) => item.state === "open" && item.kind !== "remark");
  const given = items.filter((item) => item.state === "given" && item.kind !== "remark");
  const answered = items.filter((item) => item.state === "answered" && item.kind !== "remark");
  const who = (of: readonly Item[]) => list([...new Set(of.map((item) => item.author.login))]);
  const points = (of: readonly Item[]) => (of.length === 1 ? "1 point" : `${of.length} points`);
  const lines: Markdown[] = [];
  if (given.length > 0)
    lines.push(md`${points(given)} of ${who(given)} ${given.length === 1 ? "is" : "are"} being worked on.`);
  if (open.length > 0) {
    const all = open.every((item) => item.turn !== null) ? "had no answer yet" : "asked for in a review";
    lines.push(
      md`${points(open)} of ${who(open)}, ${all}, ${open.length === 1 ? "waits" : "wait"} for the next turn.`,
    );
  }
  if (answered.length > 0 && (open.length > 0 || given.length > 0))
    lines.push(md`${points(answered)} answered before.`);
  return lines.length === 0
    ? []
    : [join([...lines, md`${code(`/lazarus items ${shortId(cell.id)}`)} shows each.`], " ")];
}
