import type { Cell } from "../cells/cell.ts";
import { isLost } from "../cells/lost.ts";
import type { Message } from "../cells/registry/messages.ts";
import { canBeTold } from "../cells/telling.ts";
import { nearest } from "../nearest.ts";
import { clean } from "../protocol/agent-text.ts";
import { createRedactor } from "../redact.ts";
import { reachable } from "./access/cells-here.ts";
import { findCell } from "./access/find-cell.ts";
import {
  type Answer,
  type Command,
  type Deps,
  type Flag,
  type Origin,
  refuse,
  type Verb,
} from "./command.ts";
import { leadingFlags, type Problem } from "./parsing/parse.ts";
import { problemReply } from "./parsing/problem.ts";
import { guestReplies } from "./words/guest-words.ts";
import { replies } from "./words/replies.ts";

export const MOST_MESSAGE_BYTES = 16 * 1024;
export const MOST_WAITING = 50;

const FLAGS: Readonly<Record<string, Flag>> = {
  "--now": {
    takes: "switch",
    help: "ends the run at work, keeps what it made, and goes on with the message",
  },
  "--to": { takes: "value", help: "the agent that it is for; without it: whoever works, or worked last" },
  "--retract": { takes: "value", help: "takes back the message of that number, where it was not given yet" },
};

type TellDeps = Pick<Deps, "registry" | "rights" | "telling" | "steps" | "config" | "clock">;

export const tell: Verb = {
  name: "tell",
  summary: "says something to the agent: at once where the cell is idle, else in its next turn",
  usage: "tell [CELL] [--now] [--to AGENT] words",
  examples: [
    "tell keep the old tests, too",
    "tell 4f1c0b7e yes, all of them",
    "tell 4f1c0b7e --now stop that, and use numbers",
  ],
  who: "executor",
  flags: FLAGS,
  isRaw: true,
  async run(command, origin, deps: TellDeps) {
    const typed = splitTell(command, origin, deps);
    if ("problem" in typed) return refuse("usage", problemReply(typed.problem));
    const need = { verb: "tell", role: "executor", words: "words", fits: canBeTold } as const;
    const found = await findCell(typed.cellWord, need, { origin, deps });
    if ("refusal" in found) return found.refusal;
    const retract = typed.flags["--retract"];
    if (typeof retract === "string") return takeBack(retract, { cell: found.cell, origin, deps });
    return whyNot(found.cell, typed, deps) ?? say(found.cell, typed, { origin, deps });
  },
};

interface Typed {
  readonly cellWord: string | null;
  readonly flags: Command["flags"];
  readonly text: string;
}

/**
 * A first word is a CELL only if it matches one that is reachable here; flags may stand before and after it.
 */
function splitTell(
  command: Command,
  origin: Origin,
  deps: Pick<Deps, "registry">,
): Typed | { readonly problem: Problem } {
  const { flags, words } = command;
  const text = clean(command.text ?? "");
  // A terminal has parted them already.
  if (words[0] !== undefined) return { cellWord: words[0], flags, text };
  const first = /^\S+/.exec(text)?.[0] ?? "";
  if (first === "" || reachable(first, origin, deps).length === 0) return { cellWord: null, flags, text };
  const takes = Object.fromEntries(Object.entries(FLAGS).map(([name, flag]) => [name, flag.takes]));
  const more = leadingFlags({ verb: "tell", flags: takes }, text, first.length);
  if ("code" in more) return { problem: more };
  return { cellWord: first, flags: { ...flags, ...more.flags }, text: text.slice(more.end).trim() };
}

/** What keeps these words from being told; null where nothing does. */
function whyNot(cell: Cell, { text, flags }: Typed, deps: TellDeps): Answer | null {
  if (cell.state === "archived" && cell.closing === null)
    return cell.sealedAt === null && !isLost(cell)
      ? refuse("refused", replies.neverMade(cell))
      : refuse("refused", replies.tellsArchived(cell));
  if (!canBeTold(cell)) return refuse("refused", replies.tellsClosing(cell));
  if (text === "") return refuse("usage", replies.tellsNothing(cell));
  if (Buffer.byteLength(text) > MOST_MESSAGE_BYTES)
    return refuse("usage", replies.tooManyWords(MOST_MESSAGE_BYTES));
  if (createRedactor(deps.config.secrets).redact(text) !== text)
    return refuse("refused", replies.tellsSecret());
  if (deps.registry.messages.waiting(cell.id).length >= MOST_WAITING)
    return refuse("refused", replies.tooManyMessages(cell, MOST_WAITING));
  const to = flags["--to"];
  if (typeof to !== "string") return null;
  const agents = [...deps.config.agents.keys()];
  const agent = deps.config.agents.get(to.toLowerCase());
  if (agent === undefined) return refuse("not-found", replies.unknownAgent(to, agents, nearest(to, agents)));
  if (agent.unavailable !== null)
    return refuse("refused", replies.cannotBeTold(agent.name, agent.unavailable));
  const member = deps.registry.members(cell.id).find((one) => one.kind === "bot" && one.name === agent.name);
  return member?.role === "observer" ? refuse("refused", guestReplies.observes(cell, agent.name)) : null;
}

function say(
  cell: Cell,
  { text, flags }: Typed,
  { origin, deps }: { readonly origin: Origin; readonly deps: TellDeps },
): Answer {
  const to = flags["--to"];
  const agent = typeof to === "string" ? (deps.config.agents.get(to.toLowerCase())?.name ?? null) : null;
  const isNow = flags["--now"] === true;
  const message = {
    ...{ cellId: cell.id, asker: origin.asker, author: origin.person },
    ...{ agent, said: text, at: deps.clock.now() },
  };
  const data: Record<string, unknown> = { id: cell.id };
  return {
    kind: "done",
    isUnderWay: true,
    data,
    effects: () => {
      data.message = deps.telling.tell(message, { isNow });
    },
    line: () => {
      const run = deps.registry.lastRun(cell.id);
      const isNext = run?.turnKind === "tell" && (run.state === "waiting" || run.state === "admitted");
      const name = agent ?? run?.agent ?? cell.agent;
      if (!isNext) return replies.told(cell, name, deps.registry.messages.waiting(cell.id).length);
      return replies.reviving({ ...cell, agent: name }, deps.steps.blockedBy(run));
    },
  };
}

/** Whoever wrote a message may take it back, and the operator may. */
function takeBack(
  typed: string,
  { cell, origin, deps }: { readonly cell: Cell; readonly origin: Origin; readonly deps: TellDeps },
): Answer {
  const all = deps.registry.messages.of(cell.id);
  const one: Message | undefined = all.find((message) => String(message.id) === typed);
  if (one === undefined) return refuse("not-found", replies.noSuchMessage(cell, typed));
  if (one.state !== "waiting") return refuse("refused", replies.notWaitingMessage(cell, one));
  if (!origin.isOperator && one.author.id !== origin.person.id)
    return refuse("refused", replies.notYourMessage(one.author.login));
  return {
    kind: "done",
    line: replies.retracted(cell, one.id),
    data: { id: cell.id, message: one.id },
    effects: () =>
      deps.telling.end(cell.id, [
        { id: one.id, state: "retracted", why: `retracted by ${origin.person.login}` },
      ]),
  };
}
