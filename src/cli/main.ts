import { Command, CommanderError } from "commander";
import { openApp } from "../app.ts";
import { systemClock } from "../clock.ts";
import type { Verb } from "../commands/command.ts";
import { VERBS } from "../commands/index.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { type Config, ConfigFault, loadConfig, type Need, readEnvironment } from "../config/config.ts";
import { warnOfAgents } from "../doctor/agents.ts";
import { examine } from "../doctor/doctor.ts";
import { lineOfFinding } from "../doctor/finding.ts";
import { explain, LazarusError } from "../errors.ts";
import { listen } from "../http/server.ts";
import { createLog, silentLog } from "../log.ts";
import { createRedactor } from "../redact.ts";
import { ask, askRegistry } from "./ask.ts";
import { readDiff } from "./diff.ts";
import { EXIT, exitCodeOf, failure } from "./exit-codes.ts";
import { runJobs } from "./jobs.ts";
import { addLogs } from "./logs.ts";
import { addPit } from "./pit.ts";
import { postDelivery } from "./post-delivery.ts";
import { createNotifier } from "./service-manager.ts";
import { VERSION } from "./version.ts";
import { wordsOf } from "./words.ts";

interface Globals {
  readonly config?: string;
  readonly json?: boolean;
  readonly color: boolean;
  readonly verbose?: boolean;
}

const program = new Command("lazarus")
  .description("Runs coding agents on the repositories of your own Gitea or Forgejo, in supervised cells.")
  .option("--config <file>", "configuration (else LAZARUS_CONFIG, ./lazarus.yaml, /etc/lazarus/lazarus.yaml)")
  .option("--json", "print one JSON document for programs")
  .option("--no-color", "no colours")
  .option("--verbose", "say more on standard error")
  .helpOption("-h, --help", "help, with examples: lazarus COMMAND --help")
  .showHelpAfterError("(lazarus --help lists the commands)")
  .version(VERSION, "--version", "prints the version")
  .exitOverride()
  .configureOutput({ writeErr: (text) => process.stderr.write(text) });

function globals(): Globals {
  return program.opts<Globals>();
}

function load(needs: readonly Need[]): Config {
  const file = globals().config;
  return loadConfig({
    ...(file === undefined ? {} : { file }),
    env: readEnvironment(),
    cwd: process.cwd(),
    needs,
  });
}

function makeLog(config: Config) {
  return createLog({ verbose: globals().verbose === true, redact: createRedactor(config.secrets).redact });
}

/** Aborted by Ctrl-C. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () =>
    controller.abort(
      new LazarusError("usage", "interrupted; an agent that runs goes on, `lazarus status` finds it"),
    ),
  );
  return controller.signal;
}

program
  .command("serve")
  .description("receives deliveries, runs cells; SIGTERM drains within 10 s and leaves agents running")
  .addHelpText("after", "\nExample:\n  lazarus --config /etc/lazarus/lazarus.yaml serve")
  .action(async () => {
    const config = load(["server", "forge", "agents"]);
    const log = makeLog(config);
    const manager = createNotifier({ env: readEnvironment(), pid: process.pid, clock: systemClock, log });
    for (const notice of config.notices) log.warn({}, notice);
    const app = await openApp(config, { log, willListen: true });
    const server = await listen(app).catch(async (error: unknown) => {
      await app.stop();
      throw error;
    });
    const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
    const ready = `listening on ${server.url}, ${count(config.agents.size, "agent")}, ${count(app.adopted, "cell")} adopted`;
    process.stdout.write(`lazarus ${ready}\n`);
    await manager.ready(ready);
    setImmediate(() => warnOfAgents(app.config, config, log));
    await new Promise<void>((resolve) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
    });
    log.info({}, "draining; agents go on");
    await manager.stopping();
    await server.close();
    await app.stop();
    // Whatever still holds the event loop (a keep-alive socket, say) must not outlast the promise of 10 s.
    process.exit(0);
  });

for (const verb of VERBS) if (verb.name !== "help" && verb.name !== "logs") addVerb(verb);

function addVerb(verb: Verb): void {
  const command = program
    .command(verb.name)
    .description(verb.run === undefined ? "not in this version" : verb.summary)
    .argument("[words...]", verb.usage.replace(/^\S+ ?/, ""))
    .addHelpText(
      "after",
      verb.examples.length === 0
        ? ""
        : `\nExamples:\n${verb.examples.map((one) => `  lazarus ${one}`).join("\n")}`,
    );
  for (const [name, flag] of Object.entries(verb.flags)) {
    command.option(
      flag.takes === "value" ? `${name} <value>` : name,
      flag.isLater ? "not in this version" : flag.help,
    );
  }
  if (verb.name === "summon" || verb.name === "revive")
    command.option("--wait", "with a server running: follow the run to its end");
  if (verb.name === "status") command.option("--all", "also cells that were destroyed");
  command.action(async (words: string[], options: Record<string, string | boolean>) =>
    runVerb(verb, words, options),
  );
}

/** The whole line, as it was typed. */
let typed: readonly string[] = [];

async function runVerb(
  verb: Verb,
  words: readonly string[],
  options: Readonly<Record<string, string | boolean>>,
): Promise<void> {
  const flags: Record<string, string | boolean> = {};
  for (const [name, value] of Object.entries(options))
    flags[`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`] = value;
  delete flags["--wait"];
  const later =
    verb.run === undefined ? verb.name : Object.keys(flags).find((name) => verb.flags[name]?.isLater);
  if (later !== undefined)
    return print({
      exitCode: EXIT.refused,
      text: `${later}: not in this version.`,
      data: failure("refused", `${later}: not in this version.`),
    });
  const [own, text] = wordsOf(verb, words, typed);
  const command = { verb: verb.name, words: own, flags, text };
  if (verb.isReadOnly) return print(await askRegistry(load([]), command));
  const config = load(["forge", "agents"]);
  const isTerminal = process.stderr.isTTY === true && !globals().json;
  const answer = await ask(config, command, {
    wait: options.wait === true,
    log: globals().verbose ? makeLog(config) : silentLog,
    progress: (line) => isTerminal && process.stderr.write(`  ${line}\n`),
    notice: (line) => void process.stderr.write(`lazarus: ${line}\n`),
    signal: interruption(),
  });
  if (answer.exitCode === 0 && (verb.name === "summon" || verb.name === "revive"))
    return printOutcome(config, answer);
  print(answer);
}

/** After a summon or revive: how the cell is now. */
async function printOutcome(config: Config, answer: StoredAnswer): Promise<void> {
  const id =
    typeof answer.data === "object" && answer.data !== null && "id" in answer.data
      ? String(answer.data.id)
      : "";
  const after = await askRegistry(config, { verb: "status", words: [id], flags: {}, text: null });
  const cells = after.data as { cells: { outcome: string | null; state: string }[] } | null;
  const failed = cells?.cells.some((cell) => cell.outcome === "failed") === true;
  print({ ...after, text: `${answer.text}\n${after.text}`, exitCode: failed ? EXIT.failed : 0 });
}

addLogs(program, {
  load: () => load([]),
  isJson: () => globals().json === true,
  write: (text) => void process.stdout.write(text),
  print,
  interruption,
});

program
  .command("diff")
  .description("shows what is held back or not published yet, secrets hidden")
  .argument("<cell>", "id of a cell, or 4 or more characters of it")
  .addHelpText("after", "\nExample:\n  lazarus diff 4f1c0b7e")
  .action(async (cell: string) => print(await readDiff(load([]), cell)));

program
  .command("jobs")
  .description("what waits, runs and died in the job log")
  .argument("[action]", "list, retry or drop", "list")
  .argument("[id]", "of the job, or 4 or more characters of it")
  .addHelpText("after", "\nExamples:\n  lazarus jobs\n  lazarus jobs retry 3e9a")
  .action((action: string, id: string | undefined) => print(runJobs(load([]), action, id)));

program
  .command("doctor")
  .description(
    "looks for what is missing on this machine and on the forge, and lets an agent try to get out of its cell",
  )
  .addHelpText("after", "\nExample:\n  lazarus --config /etc/lazarus/lazarus.yaml doctor")
  .action(async () => {
    const findings = await examine(() => load(["server", "forge", "agents"]));
    const isWell = findings.every((one) => one.level !== "FAIL");
    if (globals().json) return print({ exitCode: isWell ? 0 : EXIT.failed, text: "", data: { findings } });
    process.stdout.write(findings.map(lineOfFinding).join(""));
    process.exitCode = isWell ? 0 : EXIT.failed;
  });

program
  .command("hook")
  .description("signs a recorded delivery and posts it")
  .argument("<file>", 'a recorded delivery: {"headers": {…}, "body": "…"}')
  .option("--to <url>", "where to; else the configured server.url")
  .option("--secret <secret>", "what to sign with; else the first of forge.webhook_secret")
  .addHelpText("after", "\nExample:\n  lazarus hook test/fixtures/gitea/gitea/12-comment-created-api.json")
  .action(async (file: string, options: { to?: string; secret?: string }) => {
    const config = options.to !== undefined && options.secret !== undefined ? null : load(["server"]);
    const url = options.to ?? `${config?.server.url ?? ""}/webhooks/gitea`;
    const { status, text } = await postDelivery(file, {
      url,
      secret: options.secret ?? config?.forge.webhookSecrets[0] ?? "",
    });
    const isOk = status >= 200 && status < 300;
    print({ exitCode: isOk ? 0 : EXIT.failed, text: `${status} ${text}`, data: { status, answer: text } });
  });

addPit(program, {
  load: () => load(["pit"]),
  makeLog,
  isJson: () => globals().json === true,
  print: (text) => void process.stdout.write(text),
  fail,
});

for (const name of ["setup", "runner"]) {
  program
    .command(name)
    .description("not in this version")
    .allowUnknownOption()
    .argument("[words...]")
    .action(() =>
      print({
        exitCode: EXIT.refused,
        text: `${name}: not in this version.`,
        data: failure("refused", `${name}: not in this version.`),
      }),
    );
}

/** Prints an answer for people or programs, and sets the exit code. */
function print(answer: StoredAnswer): void {
  process.exitCode = answer.exitCode;
  if (globals().json) {
    process.stdout.write(`${JSON.stringify(answer.data ?? { message: answer.text }, null, 2)}\n`);
  } else if (answer.exitCode === 0) process.stdout.write(`${answer.text}\n`);
  else process.stderr.write(`lazarus: ${answer.text}\n`);
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
    return;
  }
  const code = error instanceof LazarusError ? error.code : "internal";
  process.exitCode = exitCodeOf(code);
  if (globals().json) {
    process.stdout.write(`${JSON.stringify(failure(code, explain(error)), null, 2)}\n`);
    return;
  }
  const faults = error instanceof ConfigFault ? error.faults : [explain(error)];
  for (const fault of faults) process.stderr.write(`lazarus: ${fault}\n`);
  if (globals().verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}

/** Runs the command line. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    typed = argv;
    await program.parseAsync([...argv]);
  } catch (error) {
    fail(error);
  }
}
