/** One command as it was typed. */
export interface Asked {
  readonly verb: string;
  /** Answered by a reply when it is done, and not only by a reaction. */
  readonly isLoud: boolean;
}

/** Something that people wrote on the forge. */
export interface Entry {
  readonly source: "comment" | "review";
  readonly id: number;
  readonly repo: string;
  readonly number: number;
  readonly by: string;
  readonly text: string;
  /** In their order; none for mere talk. */
  readonly commands: readonly Asked[];
  /** Real time, epoch ms. */
  readonly at: number;
  editedTo: string | null;
  isDeleted: boolean;
}

/** A review that asks for changes. */
interface AskedFor {
  readonly id: number;
  readonly repo: string;
  /** Of the pull request. */
  readonly number: number;
  readonly by: string;
  /** How many things it asks for. */
  readonly points: number;
}

/** An issue that was filed with the form. */
interface Filed {
  readonly repo: string;
  readonly number: number;
  readonly by: string;
}

const LOUD = new Set(["status", "why", "help", "logs"]);
const QUIET = new Set([
  ...[
    "summon",
    "team",
    "tell",
    "stop",
    "revive",
    "close",
    "destroy",
    "approve",
    "decline",
    "publish",
    "invite",
  ],
]);
/** What makes a cell. */
export const MAKING: readonly string[] = ["summon", "team"];

/** What people asked for, by the forge's own ids: what the end of a storm is compared with. */
export class Ledger {
  readonly entries: Entry[] = [];
  readonly reviews: AskedFor[] = [];
  readonly proposals: Filed[] = [];

  /** `isTalk`: it holds no command, whatever it looks like. */
  add(
    entry: Pick<Entry, "source" | "id" | "repo" | "number" | "by" | "text">,
    { isTalk = false }: { isTalk?: boolean } = {},
  ): Entry {
    const made: Entry = {
      ...entry,
      commands: isTalk ? [] : commandsIn(entry.text),
      at: Date.now(),
      editedTo: null,
      isDeleted: false,
    };
    this.entries.push(made);
    return made;
  }

  get commands(): number {
    return this.entries.reduce((sum, entry) => sum + entry.commands.length, 0);
  }
}

/**
 * The storm writes only lines that it knows itself: no parser is needed, and none of Lazarus' is believed.
 */
function commandsIn(text: string): Asked[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("/lazarus "))
    .map((line) => {
      const verb = line.split(" ")[1] ?? "";
      // What is no verb is refused, in a reply.
      return { verb, isLoud: LOUD.has(verb) || !QUIET.has(verb) };
    });
}
