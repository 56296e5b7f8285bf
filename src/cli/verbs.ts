import type { Command } from "commander";
import type { Verb } from "../commands/command.ts";
import { VERBS } from "../commands/index.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config, Need } from "../config/config.ts";
import type { Log } from "../log.ts";
import { type AskOptions, ask, askRegistry } from "./ask.ts";
import { EXIT } from "./exit-codes.ts";
import { helpAfter, terminalUsage } from "./verb-words.ts";
import { wordsOf } from "./words.ts";

/** What the command line lends them. */
export interface VerbsTerminal extends Pick<AskOptions, "progress" | "notice"> {
  load(needs: readonly Need[]): Config;
  makeLog(config: Config): Log;
  print(answer: StoredAnswer): void;
  /** Aborted by Ctrl-C. */
  interruption(): AbortSignal;
  /** The whole line, as it was typed. */
  typed(): readonly string[];
  /** What is written to standard input, to its end. */
  input(): Promise<string>;
}

/** Verbs that begin a run, which can be waited for. */
const FOLLOWED: readonly string[] = ["summon", "revive", "tell"];

/** Adds the verbs that people type on threads, too. */
export function addVerbs(program: Command, terminal: VerbsTerminal): void {
  // `help` is the parser's own here, and `logs` reads the file itself.
  for (const verb of VERBS)
    if (verb.name !== "help" && verb.name !== "logs") addVerb(program, verb, terminal);
}

function addVerb(program: Command, verb: Verb, terminal: VerbsTerminal): void {
  const command = program
    .command(verb.name)
    .description(verb.summary)
    .usage(`[options] ${terminalUsage(verb)}`)
    .argument("[words...]")
    .addHelpText("after", helpAfter(verb));
  for (const [name, flag] of Object.entries(verb.flags)) {
    command.option(flag.takes === "value" ? `${name} <value>` : name, flag.help);
  }
  if (FOLLOWED.includes(verb.name))
    command.option("--wait", "with a server running: follow the run to its end");
  if (verb.name === "status") command.option("--all", "also cells that were destroyed");
  command.action(async (words: string[], options: Record<string, string | boolean>) =>
    runVerb(verb, { words, options }, terminal),
  );
}

interface Typed {
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, string | boolean>>;
}

async function runVerb(verb: Verb, { words, options }: Typed, terminal: VerbsTerminal): Promise<void> {
  const flags: Record<string, string | boolean> = {};
  for (const [name, value] of Object.entries(options))
    flags[`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`] = value;
  delete flags["--wait"];
  const [own, said] = wordsOf(verb, words, terminal.typed());
  const text = verb.isRaw === true && said === "-" ? await terminal.input() : said;
  const command = { verb: verb.name, words: own, flags, text };
  const config = terminal.load([]);
  if (verb.isReadOnly) return terminal.print(await askRegistry(config, command));
  const answer = await ask(config, command, {
    wait: options.wait === true,
    whole: () => terminal.load(["forge", "agents"]),
    makeLog: terminal.makeLog,
    progress: terminal.progress,
    notice: terminal.notice,
    signal: terminal.interruption(),
  });
  // Which message it was is what a program must know of a `tell` that nobody waited for.
  const isShown = verb.name !== "tell" || options.wait === true;
  const isFollowed = answer.exitCode === 0 && FOLLOWED.includes(verb.name) && isShown;
  terminal.print(isFollowed ? await withOutcome(config, answer) : answer);
}

/** After a summon or revive: how the cell is now. */
async function withOutcome(config: Config, answer: StoredAnswer): Promise<StoredAnswer> {
  const id =
    typeof answer.data === "object" && answer.data !== null && "id" in answer.data
      ? String(answer.data.id)
      : "";
  const after = await askRegistry(config, { verb: "status", words: [id], flags: {}, text: null });
  const cells = after.data as { cells: { outcome: string | null; state: string }[] } | null;
  const failed = cells?.cells.some((cell) => cell.outcome === "failed") === true;
  return { ...after, text: `${answer.text}\n${after.text}`, exitCode: failed ? EXIT.failed : 0 };
}
