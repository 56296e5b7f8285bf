import type { Command } from "commander";
import { shortId } from "../cells/cell.ts";
import { loseCell } from "../cells/lose.ts";
import type { RunnerRow } from "../cells/registry/runners.ts";
import { mayMove } from "../cells/stored-seal.ts";
import { systemClock, toIso } from "../clock.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import { age, columns } from "../commands/words/status-row.ts";
import { type Config, type Need, readEnvironment } from "../config/config.ts";
import { RUNNER_NAME } from "../config/runners.ts";
import { placeOfSeals } from "../config/seals.ts";
import { openParts, type Parts } from "../control.ts";
import { LazarusError } from "../errors.ts";
import { openKeyFile } from "../key-file.ts";
import { type Log, silentLog } from "../log.ts";
import { LOST_KEY, queuePrefix, RUNNERS_KEY } from "../open-elsewhere.ts";
import { openRemoteRunner } from "../open-remote-runner.ts";
import { createRedactor, type Redactor } from "../redact.ts";
import { prepareDataDir } from "../store/lock.ts";
import { runnerKey, writeJoinLine } from "../transport/keys.ts";
import { formatCount, formatDuration, formatSize } from "../units.ts";
import { EXIT, failure } from "./exit-codes.ts";
import { drained } from "./runner-drain.ts";
import { createNotifier } from "./service-manager.ts";
import { VERSION } from "./version.ts";
import { whenThereIsRoom } from "./when-there-is-room.ts";

/** What the command line lends it. */
export interface RunnerTerminal {
  load(needs: readonly Need[]): Config;
  makeLog(config: Config, redactor: Redactor): Log;
  print(answer: StoredAnswer): void;
  say(line: string): void;
}

const ACTIONS = ["add", "list", "drain", "undrain", "rotate", "forget"] as const;
/** For the service manager: it is to be started again. */
const START_AGAIN = 75;

/** Adds `lazarus runner`: one on this host, or what control knows of them. */
export function addRunner(program: Command, terminal: RunnerTerminal): void {
  program
    .command("runner")
    .description(
      "works off cells for a Lazarus on another host; with a word, what control knows of its runners",
    )
    .argument("[action]", `${ACTIONS.slice(0, -1).join(", ")} or forget; nothing: this host is the runner`)
    .argument("[name]", "of the runner")
    .option("--empty", "with drain: say which cells still lie there, and fail while there are any")
    .option("--yes", "with forget: its cells are given up")
    .addHelpText(
      "after",
      [
        "\nExamples:",
        "  lazarus runner add r1",
        "  lazarus --config runner.yaml runner",
        "  lazarus runner list",
        "  lazarus runner drain r1 --empty",
        "  lazarus runner forget r1 --yes",
      ].join("\n"),
    )
    .action(
      async (
        action: string | undefined,
        name: string | undefined,
        flags: { empty?: boolean; yes?: boolean },
      ) => {
        if (action === undefined) return be(terminal);
        terminal.print(
          runRunners(terminal.load([]), {
            action,
            name,
            isEmpty: flags.empty === true,
            isSure: flags.yes === true,
          }),
        );
      },
    );
}

async function be(terminal: RunnerTerminal): Promise<void> {
  const config = terminal.load(["agents", "runner"]);
  const redactor = createRedactor(config.secrets);
  const log = terminal.makeLog(config, redactor);
  const manager = createNotifier({ env: readEnvironment(), pid: process.pid, clock: systemClock, log });
  for (const notice of config.notices) log.warn({}, notice);
  let end: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  // The clock's timers never keep a process alive.
  const held = setInterval(() => {}, 60_000);
  try {
    const open = () =>
      openRemoteRunner(config, {
        ...{ clock: systemClock, log, redactor, version: VERSION },
        policyChanged() {
          log.warn(
            {},
            "what control's file says of publish or checks has changed: this runner ends and is to be started again",
          );
          end(START_AGAIN);
        },
      });
    const runner = await whenThereIsRoom(open, { dataDir: config.dataDir, log, tell: manager.status });
    const ready = `runner ${runner.name}, ${formatCount(runner.agents.size, "agent")}, for the control that it joins`;
    terminal.say(`lazarus ${ready}`);
    await manager.ready(ready);
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => end(0));
    const code = await ended;
    log.info({}, "draining; agents go on");
    await manager.stopping();
    await runner.stop();
    process.exit(code);
  } finally {
    // Where it cannot begin, the process ends with what is wrong.
    clearInterval(held);
  }
}

interface Asked {
  readonly action: string;
  readonly name: string | undefined;
  readonly isEmpty: boolean;
  readonly isSure: boolean;
}

/**
 * What control knows of its runners, and what a person decides about one; with and without a server.
 * @throws LazarusError `usage`, `not-found`.
 */
export function runRunners(config: Config, asked: Asked): StoredAnswer {
  prepareDataDir(config.dataDir);
  const parts = openParts(config, { log: silentLog });
  try {
    return parts.registry.transaction(() => decide(asked, { config, parts }));
  } finally {
    parts.db.close();
  }
}

function decide(
  { action, name, isEmpty, isSure }: Asked,
  { config, parts }: { readonly config: Config; readonly parts: Parts },
): StoredAnswer {
  const { runners } = parts.registry;
  if (action === "list") return list(parts);
  if (!ACTIONS.some((one) => one === action))
    throw new LazarusError("usage", `runner ${action}: there is ${ACTIONS.join(", ")}`);
  if (name === undefined)
    throw new LazarusError("usage", `runner ${action}: which one? lazarus runner ${action} NAME`);
  if (action === "add") {
    if (!RUNNER_NAME.test(name) || name === "local")
      throw new LazarusError(
        "usage",
        `${JSON.stringify(name)} is no name for a runner: lower-case letters, digits and -, at most 32; local is this host`,
      );
    return joinLine(runners.add(name, parts.clock.now()), { config, parts });
  }
  const row = runners.one(name);
  if (row === null || row.forgottenAt !== null)
    throw new LazarusError("not-found", `there is no runner ${name}: lazarus runner list shows them`);
  if (action === "rotate") {
    runners.update(name, { generation: row.generation + 1, rotatedAt: parts.clock.now() });
    return joinLine(runners.one(name) ?? row, { config, parts });
  }
  if (action === "undrain") {
    runners.update(name, { draining: false });
    return done(`${name} takes new cells again`, { name });
  }
  if (action === "drain") {
    runners.update(name, { draining: true });
    return drained(name, { isEmpty, parts });
  }
  const cells = runners.cellsOf(name);
  const lost = cells.filter((id) => !mayMove(parts.registry.mustCell(id)));
  if (!isSure && lost.length > 0) {
    const text = `${formatCount(lost.length, "cell")} on ${name} would be given up: what they pushed stays, the rest is lost; say --yes (${lost.map(shortId).join(", ")})`;
    return { exitCode: EXIT.refused, text, data: failure("refused", text) };
  }
  runners.update(name, {
    forgottenAt: parts.clock.now(),
    draining: false,
    facts: null,
    standing: null,
    incarnation: null,
  });
  for (const id of cells)
    loseCell({ ...parts.stepDeps, steps: parts.steps }, id, {
      who: "operator",
      why: `its runner ${name} was given up`,
    });
  const kept = cells.length - lost.length;
  const stay =
    kept === 0 ? "" : `, ${formatCount(kept, "archived cell")} kept in ${placeOfSeals(config.seals)}`;
  return done(`${name} is forgotten; ${formatCount(lost.length, "cell")} given up${stay}`, {
    name,
    cells: lost,
  });
}

function joinLine(
  row: RunnerRow,
  { config, parts }: { readonly config: Config; readonly parts: Parts },
): StoredAnswer {
  const master = openKeyFile(config.dataDir, RUNNERS_KEY, LOST_KEY);
  const { name, generation } = row;
  const key = runnerKey(master, name, generation).toString("hex");
  const line = writeJoinLine({
    name,
    generation,
    key,
    prefix: queuePrefix(config, parts),
    gate: config.server.url,
  });
  const hints = [
    ...(config.queue === "local"
      ? [
          "# queue is local in lazarus.yaml: runners need queue: redis://host:6379/0 there, and a restart of serve",
        ]
      : []),
    "# keep this line as a password: write it into a file of the runner with mode 0600, and name it as runner.join_file",
  ];
  return { exitCode: 0, text: [...hints, line].join("\n"), data: { name, generation, join: line } };
}

function list({ registry, clock }: Parts): StoredAnswer {
  const busy = registry.places.load().runners;
  const rows = registry.runners.list().map((row) =>
    viewOf(row, {
      now: clock.now(),
      busy: busy.get(row.name) ?? 0,
      cells: registry.runners.cellsOf(row.name).length,
    }),
  );
  if (rows.length === 0)
    return done("no runner on another host; lazarus runner add NAME makes the first", { runners: [] });
  const table = columns([
    ["runner", "version", "places", "cells", "free", "heard", ""],
    ...rows.map((one) => [
      one.name,
      one.version ?? "-",
      `${one.busy}/${one.slots ?? "-"}`,
      String(one.cells),
      one.free,
      one.heard,
      one.note,
    ]),
  ]);
  return done(table, { runners: rows.map(({ free: _, heard: __, ...data }) => data) });
}

/** A message takes its time, too. */
const MOST_SKEW_MS = 30_000;

function clockOf({ standing, heardAt }: RunnerRow): string[] {
  if (standing === null || heardAt === null) return [];
  const skewMs = standing.now - heardAt;
  if (Math.abs(skewMs) <= MOST_SKEW_MS) return [];
  const by = formatDuration(Math.round(Math.abs(skewMs) / MOST_SKEW_MS) * MOST_SKEW_MS);
  return [`its clock is ${by} ${skewMs > 0 ? "ahead" : "behind"}: set it`];
}

function viewOf(row: RunnerRow, at: { readonly now: number; readonly busy: number; readonly cells: number }) {
  const { facts, standing, heardAt } = row;
  const notes = [
    ...(row.draining ? ["draining"] : []),
    ...(facts === null ? ["has not joined yet"] : []),
    ...clockOf(row),
    ...[standing?.full, row.trouble].filter((one) => one != null),
    ...(facts?.agents ?? []).flatMap(({ name, unavailable }) =>
      unavailable === null ? [] : [`${name}: ${unavailable}`],
    ),
  ];
  return {
    name: row.name,
    version: facts?.version ?? null,
    slots: facts?.slots ?? null,
    ...{ busy: at.busy, cells: at.cells, draining: row.draining },
    labels: facts?.labels ?? [],
    agents:
      facts?.agents.map((one) => ({ name: one.name, backend: one.backend, unavailable: one.unavailable })) ??
      [],
    free_bytes: standing?.freeBytes ?? null,
    heard_at: heardAt === null ? null : toIso(heardAt),
    note: notes.join("; "),
    free: standing === null ? "-" : formatSize(standing.freeBytes),
    heard: heardAt === null ? "never" : `${age(at.now - heardAt)} ago`,
  };
}

function done(text: string, data: object): StoredAnswer {
  return { exitCode: 0, text, data };
}
