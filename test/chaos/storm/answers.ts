import { type Entry, type Ledger, MAKING } from "./ledger.ts";
import { type CellRow, peek } from "./peek.ts";
import type { World } from "./world.ts";

/** What became of what people asked. */
export interface Answers {
  readonly lost: string[];
  readonly doubled: string[];
  /** Comments that were never run because somebody edited or deleted them first. */
  readonly withdrawn: number;
  readonly wrong: string[];
}

/** What the forge shows of one entry. */
interface Shown {
  /** How many replies there are, by the command's index. */
  readonly replies: ReadonlyMap<number, string[]>;
  readonly reactions: readonly string[];
}

const MARKER = /^<!-- lazarus:reply:(\d+):(comment|review):(\d+):(\d+) -->\r?\n/;

/** Compares what people asked with the answers that the forge shows. */
export async function compareAnswers(world: World, ledger: Ledger): Promise<Answers> {
  const answers: Answers = { lost: [], doubled: [], withdrawn: 0, wrong: [] };
  const { replies, touched } = await allReplies(world, ledger);
  const summoned = cellsByComment(world);
  const told = messagesBySource(world);
  let withdrawn = 0;
  for (const typed of ledger.entries) {
    // A forge reads its clock twice for a comment, and so may say of an untouched one that it was edited.
    const isTouched = typed.source === "comment" && touched.has(keyOf(world, typed));
    const entry = isTouched ? { ...typed, editedTo: typed.editedTo ?? typed.text } : typed;
    const shown: Shown = {
      replies: replies.get(keyOf(world, entry)) ?? new Map(),
      reactions: entry.source === "comment" && !entry.isDeleted ? await reactionsOf(world, entry) : [],
    };
    const cells = entry.source === "comment" ? (summoned.get(entry.id) ?? []) : [];
    const messages = entry.commands.map((_, index) => told.get(`forge:${keyOf(world, entry)}:${index}`));
    if (
      compare(
        entry,
        { shown, cells, messages, isStranger: entry.by === world.people.reader.login },
        answers,
      ) === "withdrawn"
    )
      withdrawn++;
  }
  return { ...answers, wrong: [...answers.wrong, ...wrongMessages(world)], withdrawn };
}

function compare(
  entry: Entry,
  is: {
    shown: Shown;
    cells: readonly CellRow[];
    messages: readonly (MessageRow | undefined)[];
    /** Is told so often why it may not, and then only that it may not. */
    isStranger: boolean;
  },
  answers: Answers,
): "answered" | "withdrawn" {
  const { shown, cells, messages } = is;
  const what = `${entry.repo}#${entry.number} ${entry.source} ${entry.id} by ${entry.by} ${JSON.stringify(entry.text)}`;
  const asked = entry.commands.length;
  for (const [index, texts] of shown.replies) {
    if (texts.length > 1)
      answers.doubled.push(`${what}: command ${index} was answered ${texts.length} times`);
    if (index >= asked) answers.wrong.push(`${what}: an answer to what nobody asked (${index})`);
  }
  const summons = entry.commands.filter((one) => MAKING.includes(one.verb)).length;
  if (cells.length > summons) answers.doubled.push(`${what}: ${cells.length} cells of ${summons} summons`);
  if (asked === 0) {
    const isHeard = shown.replies.size > 0 || shown.reactions.length > 0;
    if (isHeard) answers.wrong.push(`${what}: it was taken for a command`);
    return "answered";
  }
  const isSilent = shown.replies.size === 0 && shown.reactions.length === 0;
  if (entry.isDeleted) return shown.replies.size === 0 && cells.length === 0 ? "withdrawn" : "answered";
  if (entry.editedTo !== null) {
    const first = shown.replies.get(0)?.[0] ?? "";
    const isRefused = first.includes("edited before I read it");
    // Who may do little is told so a few times, and then by a reaction alone.
    const isTurnedDown = is.isStranger && shown.reactions.join() === "confused";
    if (isSilent || isRefused || isTurnedDown) {
      if (cells.length > 0) answers.wrong.push(`${what}: edited before it was read, and run`);
      return "withdrawn";
    }
  }
  if (entry.source === "comment" && !shown.reactions.includes("eyes"))
    answers.lost.push(`${what}: nobody said that it was seen (${shown.reactions.join(" ")})`);
  const done = shown.reactions.includes("rocket");
  for (const [index, one] of entry.commands.entries()) {
    // Commands of one comment that are refused for one reason have one reply.
    const isRefusedToo = shown.reactions.includes("confused") && shown.replies.size > 0;
    const isReplied = shown.replies.has(index) || isRefusedToo;
    const isDone = entry.source === "comment" ? done : false;
    // A summon's rocket comes when its agent works: one that waits, or was stopped before, has its card.
    const isUnderWay = (MAKING.includes(one.verb) && cells.length > 0) || messages[index] !== undefined;
    const isTurnedDown = is.isStranger && (shown.reactions.includes("confused") || entry.source === "review");
    if (!isReplied && !isTurnedDown && (one.isLoud || !(isDone || isUnderWay)))
      answers.lost.push(`${what}: command ${index} (${one.verb}) has no answer`);
  }
  const quiet = entry.commands.filter(
    (one, index) => MAKING.includes(one.verb) && !shown.replies.has(index),
  ).length;
  if (done && cells.length < quiet)
    answers.lost.push(`${what}: ${cells.length} cells of ${quiet} summons that were done`);
  return "answered";
}

interface Replies {
  /** By the entry that they answer, and the index of its command. */
  readonly replies: ReadonlyMap<string, ReadonlyMap<number, string[]>>;
  /** Comments that were changed, as the forge says. */
  readonly touched: ReadonlySet<string>;
}

/** Replies of the bot on every thread that anybody wrote on. */
async function allReplies(world: World, ledger: Ledger): Promise<Replies> {
  const found = new Map<string, Map<number, string[]>>();
  const touched = new Set<string>();
  const threads = new Map([...world.threads, ...ledger.entries].map((at) => [`${at.repo}#${at.number}`, at]));
  for (const at of threads.values()) {
    for (const comment of await world.server.comments(at.repo, at.number)) {
      if (comment.isTouched) touched.add(`${world.repositoryIds.get(at.repo)}:comment:${comment.id}`);
      const marked = comment.author === world.bot.login ? MARKER.exec(comment.body) : null;
      if (marked === null) continue;
      const [, repository, source, id, index] = marked;
      const key = `${repository}:${source}:${id}`;
      const ofEntry = found.get(key) ?? new Map<number, string[]>();
      ofEntry.set(Number(index), [...(ofEntry.get(Number(index)) ?? []), comment.body]);
      found.set(key, ofEntry);
    }
  }
  return { replies: found, touched };
}

function keyOf(world: World, entry: Entry): string {
  return `${world.repositoryIds.get(entry.repo)}:${entry.source}:${entry.id}`;
}

async function reactionsOf(world: World, entry: Entry): Promise<string[]> {
  const all = await world.server.reactions(entry.repo, entry.id);
  return all.filter((one) => one.user === world.bot.login).map((one) => one.content);
}

/** A message as its row has it, and what the run was asked that it was given to. */
interface MessageRow {
  readonly source: string;
  readonly cell: string;
  readonly state: string;
  readonly said: string;
  readonly prompt: string | null;
}

/** Where each message was typed. One that was given stands in that run's prompt. */
function messagesBySource(world: World): Map<string, MessageRow> {
  const rows = peek(world.dataDir, (ask) =>
    ask<MessageRow>(
      `SELECT messages.*, prompts.text AS prompt FROM messages
       LEFT JOIN prompts ON prompts.cell = messages.cell AND prompts.run = messages.run`,
    ),
  );
  return new Map((rows ?? []).map((row) => [row.source, row]));
}

/** What is wrong with messages by their own rows. */
function wrongMessages(world: World): string[] {
  const wrong: string[] = [];
  const cells = peek(world.dataDir, (ask) => ask<CellRow>("SELECT * FROM cells")) ?? [];
  const idsOf = (own: readonly CellRow[]) => new Set(own.map((one) => one.id));
  const ended = idsOf(cells.filter(({ state }) => !["proposed", "active", "idle"].includes(state)));
  const destroyed = idsOf(cells.filter(({ state }) => state === "destroyed"));
  for (const { source, cell, state, said, prompt } of messagesBySource(world).values()) {
    // A destroyed cell's prompts are forgotten.
    if (state === "given" && !destroyed.has(cell) && prompt?.includes(said) !== true)
      wrong.push(`message ${source} was given, and stands in no prompt`);
    if (state === "waiting" && ended.has(cell))
      wrong.push(`message ${source} waits in cell ${cell}, which ended`);
  }
  return wrong;
}

function cellsByComment(world: World): Map<number, CellRow[]> {
  const cells =
    peek(world.dataDir, (ask) => ask<CellRow>("SELECT * FROM cells WHERE asked_in_comment IS NOT NULL")) ??
    [];
  const found = new Map<number, CellRow[]>();
  for (const cell of cells) {
    const id = Number(cell.asked_in_comment);
    found.set(id, [...(found.get(id) ?? []), cell]);
  }
  return found;
}
