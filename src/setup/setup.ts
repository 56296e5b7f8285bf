import { sandboxBackend } from "../backends/sandbox/sandbox.ts";
import { systemClock } from "../clock.ts";
import type { Environment } from "../config/config.ts";
import { loadConfig } from "../config/config.ts";
import { examineHook } from "../doctor/hook.ts";
import { LazarusError } from "../errors.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { openForge } from "../open-forge.ts";
import { createRedactor } from "../redact.ts";
import { prepareDataDir, takeLock } from "../store/lock.ts";
import type { Answers } from "./answers.ts";
import { asToken } from "./bot.ts";
import { nameOf, replaceHook } from "./forge-steps.ts";
import { gather, type Wanted } from "./gather.ts";
import { type Plan, plan, stepsOn } from "./plan.ts";
import { openRecord, type SetupRecord } from "./record.ts";
import { findRights, type RightsAccount } from "./rights.ts";
import { openEar, roundTrip, type Trip } from "./round-trip.ts";
import { lineOf, type Step } from "./step.ts";
import { askUntil, type Terminal } from "./terminal.ts";

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
  const found = await gather(options);
  if (!isDryRun) prepareDataDir(found.dataDir);
  const record = openRecord(found.dataDir);
  const { madeAccount } = found;
  if (madeAccount !== null) record.keep({ kind: "account", name: madeAccount, id: null, email: null });
  const hasHook = answers.url === undefined ? found.hasHook && record.hook : found.hasHook;
  const hasSandbox = (await sandboxBackend().check()).ok;
  const look = async (wanted: Wanted, before?: RightsAccount) => {
    const at = { ...options, ...wanted, mayAsk: terminal.isInteractive && before === undefined };
    // An administrator of the forge makes an account where a person named none.
    const isNamed = before !== undefined && before.kind !== "bot";
    const rights = isNamed ? before : await findRights(at, record);
    const todo = await plan({ ...wanted, hasHook }, record, {
      ...{ form: answers.form ?? "pull-request", login: answers.login ?? true, issue: answers.issue ?? true },
      ...{ rights, hasSandbox },
    });
    for (const step of todo.steps) terminal.say(lineOf(step, false));
    return { wanted, rights, todo };
  };
  let seen = await look(found);
  const lent = await askForAdmin(seen.wanted, seen.todo.steps, options);
  if (lent !== null) seen = await look({ ...found, admin: lent }, seen.rights);
  const { wanted, rights, todo } = seen;
  if (isDryRun) return resultOf(options, todo.steps, [], ["lazarus setup"]);
  await mustBeWanted(options, todo.steps, madeAccount);
  record.wantsHook(hasHook);
  const done = await carryOut(todo.steps, terminal);
  const trips = hasHook ? await proveHooks(options, { wanted, rights, todo, record }) : [];
  if (!hasHook) terminal.say("No hook: Lazarus asks the forge each 60 s (forge.poll) what moved.");
  const next = nextOf(options, { wanted, rights, todo });
  for (const line of next) terminal.say(`Next: ${line}`);
  return resultOf(options, done, trips, next);
}

/** An administrator, where one could do what is still a person's to do; null: nobody lends a token. */
async function askForAdmin(
  { admin, open }: Wanted,
  steps: readonly Step[],
  { terminal, isDryRun }: SetupOptions,
): Promise<SetupForge | null> {
  const left = steps.filter((step) => step.isForAdmin === true).length;
  if (left === 0 || admin !== null || isDryRun || !terminal.isInteractive) return null;
  const question = `An administrator's token does ${left} of these; it is used now, and forgotten (empty: leave them): `;
  return askUntil(
    terminal,
    question,
    async (answer) => {
      if (answer === "") return null;
      const forge = open({ token: asToken(answer) });
      await forge.me();
      return forge;
    },
    true,
  );
}

async function mustBeWanted(
  { isYes, terminal }: SetupOptions,
  steps: readonly Step[],
  madeAccount: string | null,
): Promise<void> {
  if (isYes || steps.every((step) => step.run === undefined)) return;
  if (!terminal.isInteractive)
    throw new LazarusError(
      "usage",
      "nothing was made: say --yes to carry this plan out, or --dry-run to only see it",
    );
  const answer = await terminal.ask("Do it? [y/N] ");
  if (/^y(es)?$/i.test(answer)) return;
  const but = `nothing but the account ${madeAccount} was made, and its token is forgotten: remove it on the forge before setup makes it again`;
  throw new LazarusError("usage", madeAccount === null ? "nothing was made" : but);
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
  readonly rights: RightsAccount;
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
      const { looks, makes } = stepsOn(repository, at.wanted, at).hands;
      const look = async (): Promise<Trip> => {
        if (typeof ear === "string") return { kind: "not-asked", why: ear };
        const hook = (await looks.hooks(nameOf(repository)))?.find((one) => one.url === url);
        if (hook === undefined) return { kind: "not-asked", why: "it has no hook to this address yet" };
        if (makes === null) return { kind: "not-tried" };
        return roundTrip({ forge: makes, repository, hookId: hook.id, ear });
      };
      let trip = await look();
      if (trip.kind === "other-secret" && options.replacesHooks && makes !== null) {
        const [secret = ""] = at.todo.secretsOf(repository.fullName);
        await replaceHook({ forge: makes, record: at.record, repository }, { url, secret });
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
    case "not-tried":
      return [
        `  → no test delivery of ${name}: only an administrator asks for one. --admin-token-file FILE tries it`,
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
async function askServer(options: SetupOptions, at: Proving): Promise<SetupResult["round_trips"]> {
  const { wanted } = at;
  const { file, env, cwd, terminal } = options;
  const config = loadConfig({ file, env, cwd, needs: ["server", "forge", "agents"] });
  const forge = openForge(config, { clock: systemClock, redact: createRedactor(config.secrets).redact });
  const trips: { repository: string; result: string }[] = [];
  for (const repository of wanted.repositories) {
    const { makes } = stepsOn(repository, wanted, at).hands;
    const found = await examineHook({ forge, tests: makes }, nameOf(repository), config);
    const came = found.level === "ok";
    terminal.say(`${came ? "✓ delivery    " : "! yours to do "}${found.what}: ${found.detail}`);
    trips.push({ repository: repository.fullName, result: came ? "came" : "did-not-come" });
  }
  return trips;
}

function nextOf(
  { file, cwd }: SetupOptions,
  { wanted, rights, todo }: Pick<Proving, "wanted" | "rights" | "todo">,
): string[] {
  const isUsual = file === `${cwd}/lazarus.yaml`;
  const serve = `lazarus ${isUsual ? "" : `--config ${file} `}serve`;
  const names = [...(wanted.config?.agents.keys() ?? []), ...wanted.agents.map((one) => one.name)];
  const agent = names.includes("demo") ? "demo" : (names[0] ?? "demo");
  const thread = todo.thread() ?? `an issue of ${wanted.repositories[0]?.fullName ?? "a repository"}`;
  const isAlone = rights.kind === "bot";
  return [serve, `type /lazarus summon ${agent} on ${thread}`, ...(isAlone ? [LESS] : [])];
}

/** The bot administers what it serves only because the forge tells rights to nobody else. */
const LESS =
  "later, lazarus setup --admin-token-file FILE: whoever gets the bot's token can change hooks, people and branch protection, until a second account is asked who may do what (docs/setup.md)";

function resultOf(
  { file, isDryRun }: SetupOptions,
  steps: readonly Step[],
  trips: SetupResult["round_trips"],
  next: readonly string[],
): SetupResult {
  const shown = steps.map(({ what, state, detail }) => ({ what, state, detail }));
  return { file, dryRun: isDryRun, steps: shown, round_trips: trips, next };
}
