import type { Command } from "commander";
import { type Clock, systemClock } from "../clock.ts";
import { type Config, readEnvironment } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type FoundCell, isCellId, lookAtCell, type ScanOptions, scan } from "../runner/pit/pit.ts";
import { writePitHeartbeat } from "../runner/pit/pit-heartbeat.ts";
import { initCell, provideRoot } from "../runner/pit/scaffold.ts";
import { prepareDataDir } from "../store/lock.ts";
import { EXIT } from "./exit-codes.ts";
import { type DocumentHead, notHealthy, printDocument, printTable } from "./pit-report.ts";
import { watchPit } from "./pit-watch.ts";
import { createNotifier } from "./service-manager.ts";

/** What the pit is asked for. */
interface PitFlags {
  readonly initCell?: string;
  readonly writeHeartbeat?: boolean;
  readonly once?: boolean;
}

/** What the command line lends it. */
export interface PitTerminal {
  load(): Config;
  makeLog(config: Config): Log;
  isJson(): boolean;
  print(text: string): void;
  /** Says what went wrong. */
  fail(error: unknown): void;
}

const HELP = `
Looks at every directory under the missions root. It needs no server, no registry, no forge and no secrets.
By itself it goes on for ever, looks each pit.scan and prints a line when something changes. It looks once
with --once, and with --json, which is one document. --init-cell alone reports that one cell.

Exit code: 0 all are healthy, 1 at least one is not, 2 it could not look.

Examples:
  lazarus pit --once
  lazarus pit --write-heartbeat
  lazarus pit --init-cell 123e4567-e89b-12d3-a456-426614174000 --json`;

/** Adds `lazarus pit` to the command line. */
export function addPit(program: Command, terminal: PitTerminal): void {
  program
    .command("pit")
    .description("tells how every cell is, from its directory alone; for ever, or once")
    .option("--once", "look once")
    .option("--init-cell <uuid>", "make a cell's scaffold, or what is missing of it")
    .option("--write-heartbeat", "write <data>/pit-heartbeat.json after each look, for outside watchers")
    .addHelpText("after", HELP)
    .action(async (flags: PitFlags) => {
      try {
        process.exitCode = await run(flags, terminal, systemClock);
      } catch (error) {
        terminal.fail(error);
        // Whatever it was, nobody looked.
        process.exitCode = EXIT.usage;
      }
    });
}

async function run(flags: PitFlags, terminal: PitTerminal, clock: Clock): Promise<number> {
  const id = flags.initCell?.toLowerCase();
  if (id !== undefined && !isCellId(id))
    throw new LazarusError("usage", `--init-cell takes a UUID, not ${JSON.stringify(flags.initCell)}`);
  const config = terminal.load();
  const { missionsDir: root, dataDir } = config;
  const options: ScanOptions = { root, clock, staleMs: config.pit.staleMs, skewMs: config.pit.skewMs };
  if (id !== undefined || flags.writeHeartbeat) provideRoot(root);
  if (flags.writeHeartbeat) prepareDataDir(dataDir);
  const initialized = id === undefined ? undefined : { id, made: await initCell(root, id, clock) };

  if (initialized !== undefined && !terminal.isJson())
    terminal.print(`${said(initialized, findingOf(options, initialized.id))}\n`);
  if (initialized !== undefined && !flags.once && !flags.writeHeartbeat) {
    const one = findingOf(options, initialized.id);
    if (terminal.isJson()) printDocument([one], { root, at: clock.now(), initialized }, terminal.print);
    return one.class === "healthy" ? 0 : EXIT.failed;
  }
  const heartbeatDir = flags.writeHeartbeat ? dataDir : null;
  if (flags.once || terminal.isJson() || initialized !== undefined)
    return lookOnce(options, { heartbeatDir, initialized }, terminal);
  const notifier = createNotifier({
    env: readEnvironment(),
    pid: process.pid,
    clock,
    log: terminal.makeLog(config),
  });
  const { print } = terminal;
  return watchPit({ options, clock, scanMs: config.pit.scanMs, heartbeatDir, notifier, print });
}

interface Once {
  readonly heartbeatDir: string | null;
  readonly initialized: DocumentHead["initialized"] | undefined;
}

async function lookOnce(
  options: ScanOptions,
  { heartbeatDir, initialized }: Once,
  terminal: PitTerminal,
): Promise<number> {
  const { root, clock } = options;
  const head = { root, at: clock.now(), ...(initialized === undefined ? {} : { initialized }) };
  const { counts, failed } = terminal.isJson()
    ? printDocument(scan(options), head, terminal.print)
    : printTable(scan(options), root, terminal.print);
  if (failed) return EXIT.usage;
  if (heartbeatDir !== null)
    await writePitHeartbeat(heartbeatDir, { at: clock.now(), state: "done", root, counts });
  return notHealthy(counts) === 0 ? 0 : EXIT.failed;
}

function findingOf(options: ScanOptions, id: string): FoundCell {
  const finding = lookAtCell(options, id);
  if (finding !== null) return finding;
  throw new LazarusError("directory", `looking at cell ${id}: somebody removed it meanwhile`);
}

function said(
  { id, made }: { readonly id: string; readonly made: readonly string[] },
  now: FoundCell,
): string {
  const done = made.length === 0 ? "nothing was changed" : `made ${made.join(", ")}`;
  return `cell ${id}: ${done}; ${now.class}: ${now.reason}`;
}
