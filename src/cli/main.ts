import { text } from "node:stream/consumers";
import { Command, CommanderError } from "commander";
import { openApp } from "../app.ts";
import { systemClock } from "../clock.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { type Config, loadConfig, type Need, readEnvironment } from "../config/config.ts";
import { ConfigFault } from "../config/config-fault.ts";
import { warnOfAgents } from "../doctor/agents.ts";
import { explain, LazarusError } from "../errors.ts";
import { listen } from "../http/server.ts";
import { createLog, silentLog } from "../log.ts";
import { createRedactor } from "../redact.ts";
import { addBackup } from "./backup.ts";
import { collectStart } from "./collect-start.ts";
import { addCompletion } from "./completion.ts";
import { readDiff } from "./diff.ts";
import { addDoctor } from "./doctor.ts";
import { EXIT, exitCodeOf, failure } from "./exit-codes.ts";
import { runJobs } from "./jobs.ts";
import { addLogs } from "./logs.ts";
import { makeLink } from "./open.ts";
import { addPit } from "./pit.ts";
import { postDelivery } from "./post-delivery.ts";
import { addRunner } from "./runner.ts";
import { createNotifier } from "./service-manager.ts";
import { addSetup } from "./setup.ts";
import { addVerbs } from "./verbs.ts";
import { VERSION } from "./version.ts";
import { whenThereIsRoom } from "./when-there-is-room.ts";

interface Globals {
  readonly config?: string;
  readonly json?: boolean;
  readonly color: boolean;
  readonly verbose?: boolean;
}

/** The command line: its commands are added below, each file adds its own. */
export const program = new Command("lazarus")
  .description("Runs coding agents on the repositories of your own Gitea or Forgejo, in supervised cells.")
  .option("--config <file>", "configuration (else LAZARUS_CONFIG, ./lazarus.yaml, /etc/lazarus/lazarus.yaml)")
  .option("--json", "print one JSON document for programs")
  .option("--no-color", "no colours")
  .option("--verbose", "say more on standard error")
  .helpOption("-h, --help", "help, with examples: lazarus COMMAND --help")
  .showHelpAfterError("(lazarus --help lists the commands)")
  .version(VERSION, "--version", "prints the version")
  .configureHelp({ showGlobalOptions: true })
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

function makeLog(config: Config, { redact } = createRedactor(config.secrets)) {
  return createLog({ verbose: globals().verbose === true, redact });
}

/** Aborted by Ctrl-C. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () =>
    controller.abort(
      new LazarusError("usage", "interrupted; an agent that runs goes on, lazarus status finds it"),
    ),
  );
  return controller.signal;
}

program
  .command("serve")
  .description("receives deliveries, runs cells; SIGTERM drains within 10 s and leaves agents running")
  .addHelpText("after", "\nExamples:\n  lazarus serve\n  lazarus --config /etc/lazarus/lazarus.yaml serve")
  .action(async () => {
    const config = load(["server", "forge", "agents"]);
    const redactor = createRedactor(config.secrets);
    const log = makeLog(config, redactor);
    const manager = createNotifier({ env: readEnvironment(), pid: process.pid, clock: systemClock, log });
    for (const notice of config.notices) log.warn({}, notice);
    const open = () => openApp(config, { log, redactor, willListen: true });
    const app = await whenThereIsRoom(open, { dataDir: config.dataDir, log, tell: manager.status });
    const server = await listen(app).catch(async (error: unknown) => {
      await app.stop();
      throw error;
    });
    const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
    const ready = `listening on ${server.url}, ${count(config.agents.size, "agent")}, ${count(app.adopted, "cell")} adopted`;
    process.stdout.write(`lazarus ${ready}\n`);
    await manager.ready(ready);
    setImmediate(() => warnOfAgents(app.config, config, log));
    collectStart();
    await new Promise<void>((resolve) => {
      // A terminal that is closed says SIGHUP.
      for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => resolve());
    });
    log.info({}, "draining; agents go on");
    await manager.stopping();
    await server.close();
    await app.stop();
    // Whatever still holds the event loop (a keep-alive socket, say) must not outlast the promise of 10 s.
    process.exit(0);
  });

/** The whole line, as it was typed. */
let typed: readonly string[] = [];

addVerbs(program, {
  load,
  makeLog: (config) => (globals().verbose ? makeLog(config) : silentLog),
  progress: (line) => {
    if (process.stderr.isTTY === true && !globals().json) process.stderr.write(`  ${line}\n`);
  },
  notice: (line) => void process.stderr.write(`lazarus: ${line}\n`),
  print,
  interruption,
  typed: () => typed,
  input: () => text(process.stdin),
});

addLogs(program, {
  load: () => load([]),
  isJson: () => globals().json === true,
  write: (text) => void process.stdout.write(text),
  notice: (line) => void process.stderr.write(`lazarus: ${line}\n`),
  print,
  interruption,
});

program
  .command("diff")
  .description("shows what is held back or not published yet, secrets hidden")
  .argument("<cell>", "id of a cell, or 4 or more characters of it")
  .addHelpText("after", "\nExamples:\n  lazarus diff 4f1c0b7e\n  lazarus --json diff 4f1c")
  .action(async (cell: string) => print(await readDiff(load([]), cell)));

program
  .command("open")
  .description("prints a one-time link to the dashboard, for its operator")
  .addHelpText("after", "\nExamples:\n  lazarus open\n  lazarus --json open")
  .action(() => print(makeLink(load([]))));

program
  .command("jobs")
  .description("what waits, runs and died in the job log")
  .argument("[action]", "list, retry or drop", "list")
  .argument("[id]", "of the job, or 4 or more characters of it")
  .addHelpText("after", "\nExamples:\n  lazarus jobs\n  lazarus jobs retry 3e9a")
  .action((action: string, id: string | undefined) => print(runJobs(load([]), action, id)));

addDoctor(program, {
  load: () => load(["server", "forge", "agents"]),
  isJson: () => globals().json === true,
  write: (text) => void process.stdout.write(text),
  print,
});

program
  .command("hook")
  .description("signs a recorded delivery and posts it")
  .argument("<file>", 'a recorded delivery: {"headers": {…}, "body": "…"}')
  .option("--to <url>", "where to; else the configured server.url")
  .option(
    "--secret <secret>",
    "what to sign with; else the first of forge.webhook_secret, or of the one of forge.webhook_secrets that fits",
  )
  .addHelpText(
    "after",
    "\nExamples:\n  lazarus hook delivery.json\n  lazarus hook delivery.json --to http://127.0.0.1:8420/webhooks/gitea --secret a-secret",
  )
  .action(async (file: string, options: { to?: string; secret?: string }) => {
    const config = options.to !== undefined && options.secret !== undefined ? null : load(["server"]);
    const url = options.to ?? `${config?.server.url ?? ""}/webhooks/gitea`;
    const { status, text } = await postDelivery(file, {
      url,
      ...(options.secret === undefined ? {} : { secret: options.secret }),
      secrets: config?.forge.webhookSecrets ?? [],
    });
    const isOk = status >= 200 && status < 300;
    print({ exitCode: isOk ? 0 : EXIT.failed, text: `${status} ${text}`, data: { status, answer: text } });
  });

addBackup(program, { load: () => load([]), print });

addPit(program, {
  load: () => load(["pit"]),
  makeLog,
  isJson: () => globals().json === true,
  print: (text) => void process.stdout.write(text),
  fail,
});

addSetup(program, {
  env: readEnvironment,
  isJson: () => globals().json === true,
  file: () => globals().config,
  input: process.stdin,
  // Standard output holds the document, where one is asked for.
  output: () => (globals().json === true ? process.stderr : process.stdout),
  print,
});

addRunner(program, {
  load,
  makeLog,
  print,
  say: (line) => void process.stdout.write(`${line}\n`),
});

addCompletion(program, print);

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
  const faults = error instanceof ConfigFault ? error.lines() : [explain(error)];
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
