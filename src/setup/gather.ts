import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname, resolve } from "node:path";
import { systemClock } from "../clock.ts";
import { type Config, type Environment, loadConfig } from "../config/config.ts";
import { listen as listenKind, url as urlKind } from "../config/kinds.ts";
import { proxies } from "../config/proxies.ts";
import { at, readLimited, readSource } from "../config/source.ts";
import { LazarusError } from "../errors.ts";
import { parseRepositoryName, type Repository } from "../gitea/port.ts";
import {
  createSetupForge,
  type SetupAccount,
  type SetupAuth,
  type SetupForge,
} from "../gitea/setup-calls.ts";
import { type AgentHere, describe, findAgents } from "./agents-here.ts";
import type { Answers } from "./answers.ts";
import { findToken } from "./bot.ts";
import { askUntil, missing, type Terminal } from "./terminal.ts";

/** All that set-up must know before it plans. */
export interface Wanted {
  readonly file: string;
  /** The file as it is; null: it is still to be made. */
  readonly config: Config | null;
  /** `login.client_id` as it stands in the file; null: there is none. */
  readonly clientId: string | null;
  readonly forgeUrl: string;
  /** Where browsers reach the forge. */
  readonly publicUrl: string;
  readonly token: string;
  /** A file of the operator's own that holds it; null: set-up keeps it. */
  readonly tokenFile: string | null;
  readonly account: SetupAccount;
  /** The bot's account, where it was made just now. */
  readonly madeAccount: string | null;
  readonly forge: SetupForge;
  /** The forge as an administrator, for this run alone; null: nobody lent a token. */
  readonly admin: SetupForge | null;
  /** The forge as somebody else. */
  open(auth: SetupAuth): SetupForge;
  /** As they are to stand in the file: `acme/app` or `acme/*`. */
  readonly patterns: readonly string[];
  readonly repositories: readonly Repository[];
  readonly agents: readonly AgentHere[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly serverUrl: string;
  /** False: the forge cannot reach this machine. */
  readonly hasHook: boolean;
  readonly dataDir: string;
  readonly missionsDir: string;
}

export interface Given {
  readonly file: string;
  readonly answers: Answers;
  readonly env: Environment;
  readonly cwd: string;
  readonly terminal: Terminal;
  readonly isDryRun: boolean;
  /** Nobody is asked whether the plan is right. */
  readonly isYes: boolean;
}

const PORT = 8420;
const SKEW_MS = 1_000;

/** Finds out what it can, and asks for the rest. */
export async function gather(given: Given): Promise<Wanted> {
  const { file, answers, terminal } = given;
  const { config, publicUrl: knownPublic, clientId } = readExisting(given);
  const forgeUrl = await chooseForge(given, config);
  const open = (auth: SetupAuth) => {
    const { caFile } = config?.forge ?? { caFile: null };
    return createSetupForge({
      ...{ url: forgeUrl, auth, clock: systemClock, proxyFor: proxies({ ...given.env }) },
      ca: caFile === null ? undefined : readLimited(caFile),
    });
  };
  const hello = await open(null).hello();
  const skew = hello.clock - systemClock.now();
  // The header counts whole seconds.
  const late = Math.abs(skew) > SKEW_MS + hello.tookMs ? `, clock ${Math.round(skew / 1000)} s off` : "";
  terminal.say(`  → ${forgeUrl}: version ${hello.version}, answers in ${hello.tookMs} ms${late}`);
  const publicUrl = address("public_url", answers.public_url ?? knownPublic ?? forgeUrl);

  const bot = await findToken({ ...given, config, open, publicUrl });
  const forge = open({ token: bot.token });
  const account = await forge.me();
  terminal.say(`  → the bot is ${account.login}`);
  // A new account sees little: an administrator looks. What lets it in is a step of the plan.
  const { admin } = bot;
  const looking = { ...given, config, forge: admin ?? forge, publicUrl, bot: account.login };
  const chosen = await chooseRepositories(looking);
  const repositories = admin === null ? chosen.repositories : await asBot(forge, chosen.repositories);
  await mustHaveScopes(forge, repositories, account.login);
  const agents = await chooseAgents(given, config);
  const reach = await chooseAddress(given, { config, forgeUrl });
  const base = dirname(file);
  return {
    ...{ file, config, clientId, forgeUrl, publicUrl, forge, admin, open, account, agents, repositories },
    ...{ token: bot.token, tokenFile: bot.file, madeAccount: bot.made, patterns: chosen.patterns },
    ...reach,
    dataDir: config?.dataDir ?? resolve(base, answers.data ?? "./data"),
    missionsDir: config?.missionsDir ?? resolve(base, answers.missions ?? "./missions"),
  };
}

/** The file as it stands; a fault in it is the operator's to mend, by its own sentences. */
function readExisting({ file, env, cwd }: Given) {
  if (!existsSync(file)) return { config: null, publicUrl: null, clientId: null };
  const config = loadConfig({ file, env, cwd, needs: ["server", "forge", "agents"] });
  const { tree } = readSource({ file, env, cwd });
  const open = at(tree, "forge.public_url");
  const clientId = config.login.client?.id ?? null;
  return { config, publicUrl: typeof open === "string" ? open : null, clientId };
}

/** Without a slash at its end. */
function address(what: string, text: string): string {
  const read = urlKind.read(text);
  if (read === undefined) throw new LazarusError("usage", `${what}: it is not ${urlKind.what}`);
  return read;
}

async function chooseForge({ answers, terminal, file }: Given, config: Config | null): Promise<string> {
  const said = answers.forge === undefined ? null : address("forge", answers.forge);
  if (config !== null) {
    if (said !== null && said !== config.forge.url)
      throw new LazarusError(
        "usage",
        `${file} is for ${config.forge.url}, not for ${said}: name another file with --config`,
      );
    return config.forge.url;
  }
  if (said !== null) return said;
  if (!terminal.isInteractive) throw missing("the forge's address", "say --forge https://git.example.org");
  return askUntil(terminal, "1 Where is your forge? ", (answer) => address("forge", answer));
}

const nameOf = (repository: Repository) => {
  const name = parseRepositoryName(repository.fullName);
  if (name === null)
    throw new LazarusError("forge-answer", `${repository.fullName} is no name of a repository`);
  return name;
};

/** With what the bot may do there so far; where it does not see one, that is nothing. */
function asBot(forge: SetupForge, all: readonly Repository[]): Promise<Repository[]> {
  const mine = { admin: false, push: false, pull: false };
  return Promise.all(all.map(async (one) => (await forge.repository(nameOf(one))) ?? { ...one, mine }));
}

interface Choosing extends Given {
  readonly config: Config | null;
  readonly forge: SetupForge;
  readonly publicUrl: string;
  readonly bot: string;
}

async function chooseRepositories(at: Choosing) {
  const { answers, terminal, forge, config } = at;
  const asked = [...new Set([...(config?.forge.repositories ?? []), ...(answers.repositories ?? [])])];
  if (asked.length > 0) return lookAt(asked, at);
  if (!terminal.isInteractive) throw missing("which repositories", "say --repository acme/app");
  const seen = await forge.repositories();
  for (const one of seen)
    terminal.say(`    ${one.fullName}${one.mine.push ? "" : "  (the bot may not write to it)"}`);
  return askUntil(terminal, "3 Which repositories? (acme/app or acme/*, several with commas) ", (answer) =>
    lookAt(answer.split(/[\s,]+/).filter(Boolean), at),
  );
}

async function lookAt(patterns: readonly string[], { forge, bot, publicUrl }: Choosing) {
  if (patterns.length === 0) throw new LazarusError("usage", "name at least one repository");
  const repositories: Repository[] = [];
  for (const pattern of patterns) {
    const [owner = "", name = ""] = pattern.split("/");
    if (parseRepositoryName(pattern.replace(/\/\*$/, "/any")) === null)
      throw new LazarusError("usage", `${JSON.stringify(pattern)} is not owner/repo or owner/*`);
    if (name === "*") {
      const own = (await forge.repositories()).filter(
        (one) => one.fullName.split("/")[0]?.toLowerCase() === owner.toLowerCase(),
      );
      if (own.length === 0)
        throw new LazarusError("usage", `${pattern}: ${bot} sees no repository of ${owner}`);
      repositories.push(...own);
      continue;
    }
    const found = await forge.repository({ owner, name });
    if (found === null)
      throw new LazarusError(
        "usage",
        `${pattern}: there is no such repository, or ${bot} may not see it: add ${bot} with Write at ${publicUrl}/${pattern}/settings/collaboration`,
      );
    repositories.push(found);
  }
  const unique = new Map(repositories.map((one) => [one.id, one]));
  return { patterns, repositories: [...unique.values()] };
}

async function mustHaveScopes(
  forge: SetupForge,
  repositories: readonly Repository[],
  bot: string,
): Promise<void> {
  const [first] = repositories;
  if (first === undefined) return;
  const lacking = await forge.lackingScopes(nameOf(first));
  if (lacking.length === 0) return;
  const wanted = "write:issue, write:repository, read:user and read:organization";
  throw new LazarusError(
    "usage",
    `the token of ${bot} lacks ${lacking.join(" and ")}: make another one with ${wanted}, and run setup again`,
  );
}

async function chooseAgents(given: Given, config: Config | null): Promise<AgentHere[]> {
  const { answers, terminal, env } = given;
  const here = await findAgents(env);
  const pick = (names: readonly string[]) =>
    names.map((name) => {
      const agent = here.find((one) => one.name === name);
      if (agent === undefined)
        throw new LazarusError(
          "usage",
          `agent ${name}: its program is not on this machine's PATH; there are ${here.map((one) => one.name).join(", ")}`,
        );
      return agent;
    });
  terminal.say(`  → agents here: ${here.map(describe).join(", ")}`);
  if (answers.agents !== undefined) return pick(answers.agents);
  if (config !== null && config.agents.size > 0) return [];
  const usual = here.filter((one) => one.login === "key" || one.name === "demo");
  if (!terminal.isInteractive) return usual;
  const names = usual.map((one) => one.name).join(",");
  return askUntil(terminal, `4 Which agents? [${names}] `, (answer) =>
    answer === "" ? usual : pick(answer.split(/[\s,]+/).filter(Boolean)),
  );
}

const isLoopback = (host: string) => /^(localhost|127\.|\[?::1)/.test(host);

interface Address {
  readonly listen: { readonly host: string; readonly port: number };
  readonly serverUrl: string;
  readonly hasHook: boolean;
}

async function chooseAddress(
  { answers, terminal }: Given,
  { config, forgeUrl }: { config: Config | null; forgeUrl: string },
): Promise<Address> {
  if (config !== null) {
    const { host, port, url } = config.server;
    return { listen: { host, port }, serverUrl: url, hasHook: answers.url !== "none" };
  }
  const said = answers.url;
  if (said !== undefined) return addressOf(said, answers.listen);
  const onForge = isLoopback(new URL(forgeUrl).hostname);
  if (onForge) return addressOf(`http://127.0.0.1:${PORT}`, answers.listen);
  if (!terminal.isInteractive)
    throw missing(
      "how the forge reaches this machine",
      `say --url http://THIS-MACHINE:${PORT}, or --url none`,
    );
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const proposals = own.filter((one) => !one.internal && one.family === "IPv4").map((one) => one.address);
  for (const one of proposals) terminal.say(`    http://${one}:${PORT}`);
  return askUntil(terminal, "5 How does the forge reach this machine? (an address, or none) ", (answer) =>
    addressOf(answer, answers.listen),
  );
}

function addressOf(said: string, listenSaid: string | undefined): Address {
  const serverUrl = said === "none" ? `http://127.0.0.1:${PORT}` : address("url", said);
  const { hostname, port, protocol } = new URL(serverUrl);
  const host = isLoopback(hostname) ? "127.0.0.1" : "0.0.0.0";
  // Behind a proxy that speaks https the port outside says nothing of the one inside.
  const usual = `${host}:${protocol === "http:" ? port || 80 : PORT}`;
  const listen = listenKind.read(listenSaid ?? usual);
  if (listen === undefined)
    throw new LazarusError("usage", `listen: ${listenSaid} is not ${listenKind.what}`);
  return { listen, serverUrl, hasHook: said !== "none" };
}
