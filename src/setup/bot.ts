import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { SetupAuth, SetupForge } from "../gitea/setup-calls.ts";
import type { Answers } from "./answers.ts";
import { readSecret } from "./answers.ts";
import { secretPath } from "./files.ts";
import { lineOf } from "./step.ts";
import { askUntil, missing, type Terminal } from "./terminal.ts";

export interface BotToken {
  readonly token: string;
  /** The operator's own file; null: set-up keeps the token. */
  readonly file: string | null;
  /** The account's login, where it was made just now. */
  readonly made: string | null;
  /** The forge as an administrator, for as long as set-up runs. */
  readonly admin: SetupForge | null;
}

interface At {
  readonly answers: Answers;
  readonly config: Config | null;
  readonly cwd: string;
  readonly file: string;
  readonly publicUrl: string;
  readonly terminal: Terminal;
  readonly isDryRun: boolean;
  /** Nobody is asked whether the plan is right. */
  readonly isYes: boolean;
  open(auth: SetupAuth): SetupForge;
}

/** What the bot's token must have. `write:user` is for the OAuth2 application alone. */
const SCOPES = ["write:issue", "write:repository", "read:organization", "write:user"];

/** What the token of the account that is asked who may do what has. */
export const RIGHTS_SCOPES = ["read:repository", "read:user", "read:organization"];

/** That account's login; forges take 40 characters. */
export const rightsLoginOf = (bot: string): string => `${bot.slice(0, 33)}-rights`;

/** An administrator's token as it was said beforehand; null: it was not. */
export function saidAdminToken(answers: Answers, cwd: string): string | null {
  if (answers.admin_token_file === undefined) return answers.admin_token ?? null;
  return readSecret(resolve(cwd, answers.admin_token_file), "--admin-token-file");
}

export function asToken(answer: string): string {
  if (/^[\x21-\x7e]+$/.test(answer)) return answer;
  throw new LazarusError("usage", "that is no token: paste it on one line");
}

/** The bot's token: from the file, from answers, from an earlier run, or asked for. */
export async function findToken(at: At): Promise<BotToken> {
  const { answers, config, cwd, file } = at;
  const adminToken = saidAdminToken(answers, cwd);
  const admin = adminToken === null ? null : at.open({ token: adminToken });
  const of = (token: string, own: string | null = null) => ({ token, file: own, made: null, admin });
  if (answers.token !== undefined) return of(answers.token);
  if (answers.token_file !== undefined) {
    const path = resolve(cwd, answers.token_file);
    return of(readSecret(path, "--token-file"), path);
  }
  if (config !== null) return of(config.forge.token);
  const kept = secretPath(file, "forge-token");
  if (existsSync(kept)) return of(readSecret(kept, "the token of an earlier run"));
  if (admin !== null) return makeAccount(at, admin);
  return askForToken(at);
}

async function askForToken(at: At): Promise<BotToken> {
  const { terminal, publicUrl } = at;
  if (!terminal.isInteractive)
    throw missing(
      "the bot's token",
      "say --token-file FILE, or --admin-token-file FILE to have the account made",
    );
  terminal.say("2 The bot's account?");
  terminal.say("    1  I am on the forge's machine: two commands make it");
  terminal.say("    2  I have an administrator's token: it makes the account at once, and is forgotten");
  terminal.say("    3  There is a token already");
  const choice = await askUntil(terminal, "  1, 2 or 3? ", (answer) => {
    if (["1", "2", "3"].includes(answer)) return answer;
    throw new LazarusError("usage", "type 1, 2 or 3");
  });
  if (choice === "2") {
    const token = await askUntil(terminal, "  the administrator's token: ", asToken, true);
    return makeAccount(at, at.open({ token }));
  }
  if (choice === "1") {
    terminal.say("  Type these on the forge's machine, as the user of the forge:");
    terminal.say(
      "    gitea admin user create --username lazarus --email lazarus@localhost.invalid --random-password --must-change-password=false",
    );
    terminal.say(
      `    gitea admin user generate-access-token --username lazarus --token-name lazarus --raw --scopes ${SCOPES.join(",")}`,
    );
  } else {
    terminal.say(
      `  Make one, as the bot, at ${publicUrl}/user/settings/applications with ${SCOPES.join(", ")}`,
    );
  }
  const pasted = await askUntil(terminal, "  the bot's token: ", asToken, true);
  return { token: pasted, file: null, made: null, admin: null };
}

export function rightsTaken(login: string): LazarusError {
  return new LazarusError(
    "usage",
    `the account ${login} is there already: give its token (--rights-token-file), or have it removed or renamed on the forge, and run setup again`,
  );
}

/**
 * An account with a password that nobody knows, and a token of it. It is made before the question whether the
 * plan is right, since only the bot can tell what it lacks; nothing else is.
 */
async function makeAccount(at: At, admin: SetupForge): Promise<BotToken> {
  if (at.isDryRun)
    throw new LazarusError(
      "usage",
      "a dry run makes no account: give the bot's token, or leave --dry-run out",
    );
  const login = at.answers.bot ?? "lazarus";
  if (!/^[\w.-]{1,40}$/.test(login))
    throw new LazarusError(
      "usage",
      `bot: ${JSON.stringify(login)} is not a login of letters, digits, -, _ and .`,
    );
  if (!at.isYes && !at.terminal.isInteractive)
    throw new LazarusError(
      "usage",
      `nothing was made: the account ${login} is to be made before there is a plan. Say --yes, or give the bot's token`,
    );
  // Before anything is made: both accounts, or none.
  const isGiven = at.answers.rights_token !== undefined || at.answers.rights_token_file !== undefined;
  const rightsLogin = rightsLoginOf(login);
  if (!isGiven && (await admin.accountOf(rightsLogin)) !== null) throw rightsTaken(rightsLogin);
  const password = randomBytes(24).toString("base64url");
  // One that is there is never taken for ours: nobody but its owner has its password.
  const made = await admin.createAccount({ login, password, email: `${login}@localhost.invalid` });
  if (made === null)
    throw new LazarusError(
      "usage",
      `the account ${login} is there already: give its token (--token-file), or another name (--bot). Where an interrupted set-up made it, remove it on the forge first`,
    );
  const token = await at.open({ login, password }).createToken(login, "lazarus", SCOPES);
  const detail = "the bot, ahead of the plan; it may do nothing yet";
  at.terminal.say(lineOf({ what: `account ${login}`, state: "make", detail }, true));
  return { token, file: null, made: login, admin };
}
