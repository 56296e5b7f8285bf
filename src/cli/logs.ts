import type { Command } from "commander";
import { logs } from "../commands/logs.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import { printLog } from "./print-log.ts";
import { helpAfter } from "./verb-words.ts";

/** What the command line lends it. */
export interface LogsTerminal {
  load(): Config;
  isJson(): boolean;
  write(text: string): void;
  print(answer: StoredAnswer): void;
  notice(line: string): void;
  /** Aborted by Ctrl-C. */
  interruption(): AbortSignal;
}

interface LogsFlags {
  readonly follow?: boolean;
  readonly raw?: boolean;
  readonly setup?: boolean;
  readonly check?: string;
  readonly tail: string;
}

/** Adds `lazarus logs`, which reads the file itself, so that it can be followed. */
export function addLogs(program: Command, terminal: LogsTerminal): void {
  program
    .command("logs")
    .description(logs.summary)
    .argument("<cell>", "id of a cell, or 4 or more characters of it")
    .option("-f, --follow", "go on with what is added while the run lasts")
    .option("--tail <lines>", "how many lines", "50")
    .option("--raw", "the file as the agent wrote it, and not what it says in words")
    .option("--check <name>", "of that check of what was pushed last")
    .option("--setup", "of what set the cell up, also where a run followed")
    .addHelpText("after", helpAfter(logs))
    .action((cell: string, flags: LogsFlags) => run(cell, flags, terminal));
}

async function run(cell: string, flags: LogsFlags, terminal: LogsTerminal): Promise<void> {
  const lines = Number(flags.tail);
  if (!Number.isInteger(lines) || lines < 1)
    throw new LazarusError("usage", `--tail takes a number of lines, not ${flags.tail}`);
  let log = "";
  const printed = await printLog(terminal.load(), {
    ...{
      cell,
      lines,
      raw: flags.raw === true,
      follow: flags.follow === true,
      of: flags.check !== undefined ? { check: flags.check } : flags.setup === true ? "setup" : "agent",
    },
    signal: terminal.interruption(),
    notice: terminal.notice,
    print: (text) => {
      if (terminal.isJson()) log += text;
      else terminal.write(text);
    },
  });
  if ("exitCode" in printed) terminal.print(printed);
  else if (terminal.isJson()) terminal.print({ exitCode: 0, text: "", data: { ...printed, log } });
}
