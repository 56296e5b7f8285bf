import { sandboxBackend } from "../backends/sandbox/sandbox.ts";
import { systemClock } from "../clock.ts";
import type { Environment } from "../config/config.ts";
import { loadConfig } from "../config/config.ts";
import { examineHook } from "../doctor/hook.ts";
import { LazarusError } from "../errors.ts";
import { openForge } from "../open-forge.ts";
import { createRedactor } from "../redact.ts";
import { prepareDataDir, takeLock } from "../store/lock.ts";
import type { Answers } from "./answers.ts";
import { nameOf, replaceHook } from "./forge-steps.ts";
import { gather, type Wanted } from "./gather.ts";
import { type Plan, plan } from "./plan.ts";
import { openRecord, type SetupRecord } from "./record.ts";
import { openEar, roundTrip, type Trip } from "./round-trip.ts";
import { lineOf, type Step } from "./step.ts";
import type { Terminal } from "./terminal.ts";

export interface SetupOptions {
  /** Where `lazarus.yaml` is, or is to be. */
  readonly file: string;
  readonly answers: Answers;
  readonly env: Environment;
  readonly cwd: string;
  readonly terminal: Terminal;
  readonly isDryRun: boolean;
  /** Nobody is asked whether the plan is right. */
  readonly isYes: boolean;
  /** A hook to our address that has another secret is replaced. */
  readonly replacesHooks: boolean;
}

/** What set-up did, for programs. */
export interface SetupResult {
  readonly file: string;
  readonly dryRun: boolean;
  readonly steps: readonly { readonly what: string; readonly state: string; readonly detail: string }[];
  readonly round_trips: readonly { readonly repository: string; readonly result: string }[];
  readonly next: readonly string[];
}

/**
 * Finds out, asks, shows the plan, carries it out, and has each hook prove itself. What is there already is
 * left as it is: to run it again mends what a kill, or a person, left half done.
 */
export async function setUp(options: SetupOptions): Promise<SetupResult> {
  const { terminal, answers, isDryRun } = options;
  const wanted = await gather(options);
  if (!isDryRun) prepareDataDir(wanted.dataDir);
  const record = openRecord(wanted.dataDir);
  const hasHook = answers.url === undefined ? wanted.hasHook && record.hook : wanted.hasHook;
  const hasSandbox = (await sandboxBackend().check()).ok;
  const todo = await plan({ ...wanted, hasHook }, record, {
    ...{ form: answers.form ?? "pull-request", login: answers.login ?? true, issue: answers.issue ?? true },
    hasSandbox,
  });
  for (const step of todo.steps) terminal.say(lineOf(step, false));
  if (isDryRun) return resultOf(options, todo.steps, [], ["lazarus setup"]);
  await mustBeWanted(options, todo.steps);
  record.wantsHook(hasHook);
  if (wanted.madeAccount !== null) record.keep({ kind: "account", name: wanted.madeAccount, id: null });
  const done = await carryOut(todo.steps, terminal);
  const trips = hasHook ? await proveHooks(options, { wanted, todo, record }) : [];
  if (!hasHook) terminal.say("No hook: Lazarus asks the forge each 60 s (forge.poll) what moved.");
  const next = nextOf(options, wanted, todo);
  for (const line of next) terminal.say(`Next: ${line}`);
  return resultOf(options, done, trips, next);
}

async function mustBeWanted({ isYes, terminal }: SetupOptions, steps: readonly Step[]): Promise<void> {
  if (isYes || steps.every((step) => step.run === undefined)) return;
  if (!terminal.isInteractive)
    throw new LazarusError(
      "usage",
      "nothing was made: say --yes to carry this plan out, or --dry-run to only see it",
    );
  const answer = await terminal.ask("Do it? [y/N] ");
  if (!/^y(es)?$/i.test(answer)) throw new LazarusError("usage", "nothing was made");
}

async function carryOut(steps: readonly Step[], terminal: Terminal): Promise<Step[]> {
  const done: Step[] = [];
  for (const step of steps) {
    const said = await step.run?.();
    const after = said === undefined ? step : { ...step, detail: said };
    if (step.run !== undefined) terminal.say(lineOf(after, true));
    done.push(after);
  }
  return done;
}

interface Proving {
  readonly wanted: Wanted;
  readonly todo: Plan;
  readonly record: SetupRecord;
}

/** A signed delivery that came back, from each repository with a hook. */
async function proveHooks(options: SetupOptions, at: Proving): Promise<SetupResult["round_trips"]> {
  const lock = takeLock(at.wanted.dataDir);
  if (lock === null) return askServer(options, at);
  const { terminal } = options;
  const ear = await openEar(at.wanted.listen, at.todo.secretsOf);
  const trips: { repository: string; result: string }[] = [];
  try {
    for (const repository of at.wanted.repositories) {
      const url = at.todo.hookUrl ?? "";
      const look = async (): Promise<Trip> => {
        if (typeof ear === "string") return { kind: "not-asked", why: ear };
        const hook = (await at.wanted.forge.hooks(nameOf(repository)))?.find((one) => one.url === url);
        if (hook === undefined) return { kind: "not-asked", why: "it has no hook to this address yet" };
        return roundTrip({ forge: at.wanted.forge, repository, hookId: hook.id, ear });
      };
      let trip = await look();
      if (trip.kind === "other-secret" && options.replacesHooks) {
        const [secret = ""] = at.todo.secretsOf(repository.fullName);
        const steps = {
          forge: at.wanted.forge,
          record: at.record,
          publicUrl: at.wanted.publicUrl,
          repository,
        };
        await replaceHook(steps, { url, secret });
        terminal.say(
          lineOf(
            { what: `hook on ${repository.fullName}`, state: "change", detail: "its secret was another" },
            true,
          ),
        );
        trip = await look();
      }
      for (const line of wordsOf(trip, repository.fullName, url)) terminal.say(line);
      trips.push({ repository: repository.fullName, result: trip.kind });
    }
  } finally {
    if (typeof ear !== "string") await ear.close();
    lock.release();
  }
  return trips;
}

function wordsOf(trip: Trip, name: string, url: string): string[] {
  switch (trip.kind) {
    case "came":
      return [`✓ delivery    ${name}: it came back after ${(trip.ms / 1000).toFixed(1)} s, signed`];
    case "other-secret":
      return [
        `! yours to do delivery of ${name}: it came, signed with another secret than this file's. lazarus setup --replace-hooks puts a hook with the right one in its place`,
      ];
    case "empty":
      return [
        `! yours to do delivery of ${name}: it has no commit yet, so the forge sends nothing. Push one, and run setup again`,
      ];
    case "not-asked":
      return [`! yours to do delivery of ${name}: ${trip.why}`];
    case "did-not-come":
      return [
        `! yours to do delivery of ${name}: none came to ${url} in 10 s. Where that is a private address, write into the forge's app.ini and restart it:`,
        "    [webhook]",
        "    ALLOWED_HOST_LIST = external,private,loopback",
        "  Polling works meanwhile: Lazarus asks the forge each 60 s what moved.",
      ];
  }
}

/** A server has the place: it tells what it heard. */
async function askServer(options: SetupOptions, { wanted }: Proving): Promise<SetupResult["round_trips"]> {
  const { file, env, cwd, terminal } = options;
  const config = loadConfig({ file, env, cwd, needs: ["server", "forge", "agents"] });
  const forge = openForge(config, { clock: systemClock, redact: createRedactor(config.secrets).redact });
  const trips: { repository: string; result: string }[] = [];
  for (const repository of wanted.repositories) {
    const found = await examineHook(forge, nameOf(repository), config);
    const came = found.level === "ok";
    terminal.say(`${came ? "✓ delivery    " : "! yours to do "}${found.what}: ${found.detail}`);
    trips.push({ repository: repository.fullName, result: came ? "came" : "did-not-come" });
  }
  return trips;
}

function nextOf({ file, cwd }: SetupOptions, wanted: Wanted, todo: Plan): string[] {
  const isUsual = file === `${cwd}/lazarus.yaml`;
  const serve = `lazarus ${isUsual ? "" : `--config ${file} `}serve`;
  const names = [...(wanted.config?.agents.keys() ?? []), ...wanted.agents.map((one) => one.name)];
  const agent = names.includes("demo") ? "demo" : (names[0] ?? "demo");
  const thread = todo.thread() ?? `an issue of ${wanted.repositories[0]?.fullName ?? "a repository"}`;
  const forge = wanted.config?.forge;
  const isAlone = forge === undefined || forge.rightsToken === forge.token;
  return [serve, `type /lazarus summon ${agent} on ${thread}`, ...(isAlone ? [LESS] : [])];
}

/** The bot administers what it serves only because the forge tells rights to nobody else. */
const LESS =
  "later, give forge.rights_token the token of a second account that administers and may only read: the bot then needs no more than Write (docs/connect.md)";

function resultOf(
  { file, isDryRun }: SetupOptions,
  steps: readonly Step[],
  trips: SetupResult["round_trips"],
  next: readonly string[],
): SetupResult {
  const shown = steps.map(({ what, state, detail }) => ({ what, state, detail }));
  return { file, dryRun: isDryRun, steps: shown, round_trips: trips, next };
}
