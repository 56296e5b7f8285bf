import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { Repository } from "../gitea/port.ts";
import type { SetupAccount, SetupAuth, SetupForge } from "../gitea/setup-calls.ts";
import { type Answers, readSecret } from "./answers.ts";
import { asToken, RIGHTS_SCOPES, rightsLoginOf, rightsTaken } from "./bot.ts";
import { replaceSecret, secretPath } from "./files.ts";
import { nameOf, peoplePage } from "./forge-steps.ts";
import type { SetupRecord } from "./record.ts";
import { type Step, there, yours, yoursAsAdmin } from "./step.ts";
import { askUntil, type Terminal } from "./terminal.ts";

/** Whom Lazarus asks who may do what: that account administers each repository. */
export type RightsAccount =
  /** The bot itself. */
  | { readonly kind: "bot" }
  | {
      readonly kind: "known";
      readonly login: string;
      readonly forge: SetupForge;
      readonly token: string;
      /** A file of the operator's own that holds the token; null: set-up keeps it. */
      readonly file: string | null;
      /** `lazarus.yaml` names it already. */
      readonly isInFile: boolean;
    }
  /** An administrator of the forge makes it in this run. */
  | { readonly kind: "make"; readonly login: string };

/** What set-up knows by the time it looks for that account. */
interface At {
  readonly answers: Answers;
  readonly config: Config | null;
  readonly cwd: string;
  readonly file: string;
  readonly terminal: Terminal;
  /** Whether a person may be asked. */
  readonly mayAsk: boolean;
  readonly publicUrl: string;
  readonly account: { readonly id: number; readonly login: string };
  readonly repositories: readonly Repository[];
  readonly admin: SetupForge | null;
  open(auth: SetupAuth): SetupForge;
}

const SCOPES = "read:repository, read:user and read:organization";

/** Named beforehand or in an earlier run, made by an administrator, asked for; else it is the bot itself. */
export async function findRights(at: At, record: SetupRecord): Promise<RightsAccount> {
  const { answers, config, cwd, file, admin, account, repositories, terminal } = at;
  const said = saidToken(answers, cwd);
  if (config !== null && config.forge.rightsToken !== config.forge.token) {
    const { rightsToken: token } = config.forge;
    if (said !== null && said.token !== token)
      throw new LazarusError("usage", `${file} names another forge.rights_token: change it there`);
    const forge = at.open({ token });
    const { login } = await forge.me();
    return { kind: "known", login, forge, token, file: null, isInFile: true };
  }
  if (said !== null) return checked(at, said);
  const kept = secretPath(file, "rights-token");
  if (existsSync(kept))
    return checked(at, { token: readSecret(kept, "the rights token of an earlier run"), file: null });
  if (admin !== null && (await admin.me()).isSiteAdmin) {
    const login = rightsLoginOf(account.login);
    await ownAccount(admin, login, record);
    return { kind: "make", login };
  }
  if (!at.mayAsk || repositories.every((one) => one.mine.admin)) return { kind: "bot" };
  terminal.say(`6 ${account.login} may only write. Which account is asked who may do what?`);
  terminal.say("    A second one, as Administrator of each repository, with a token that may only read");
  terminal.say(`    Make its token, as that account, at ${at.publicUrl}/user/settings/applications`);
  terminal.say(`    with ${RIGHTS_SCOPES.join(", ")}`);
  const question = "  its token (empty: none, and the bot is to be Administrator): ";
  const read = (answer: string): RightsAccount | Promise<RightsAccount> =>
    answer === "" ? { kind: "bot" } : checked(at, { token: asToken(answer), file: null });
  return askUntil<RightsAccount>(terminal, question, read, true);
}

interface SaidToken {
  readonly token: string;
  readonly file: string | null;
}

function saidToken(answers: Answers, cwd: string): SaidToken | null {
  if (answers.rights_token !== undefined) return { token: answers.rights_token, file: null };
  if (answers.rights_token_file === undefined) return null;
  const path = resolve(cwd, answers.rights_token_file);
  return { token: readSecret(path, "--rights-token-file"), file: path };
}

/** Of another account than the bot's, and it may read and not write. */
async function checked(at: At, said: SaidToken): Promise<RightsAccount> {
  const forge = at.open({ token: said.token });
  const { id, login } = await forge.me();
  if (id === at.account.id)
    throw new LazarusError(
      "usage",
      `the rights token is ${login}'s, the bot's own: give one of a second account`,
    );
  const [first] = at.repositories;
  if (first !== undefined) {
    const wrong = wrongScopes(await forge.lackingScopes(nameOf(first)));
    if (wrong !== null)
      throw new LazarusError("usage", `the rights token of ${login} ${wrong}: make one with ${SCOPES}`);
  }
  return { kind: "known", login, forge, ...said, isInFile: false };
}

/** What is wrong with a token that is to read and not to write, by what it lacks; null: nothing. */
export function wrongScopes(lacking: readonly string[]): string | null {
  const unread = lacking.filter((scope) => scope.startsWith("read:"));
  if (unread.length > 0) return `lacks ${unread.join(" and ")}`;
  return lacking.length < 2 ? "may write, and must not" : null;
}

/**
 * The account where it is there and set-up made it; null where there is none. Anybody may register its name,
 * and a mark in the record is older than the account. So it is ours only with the random e-mail address that
 * set-up chose for it, and with its id where that is known.
 */
async function ownAccount(
  admin: SetupForge,
  login: string,
  record: SetupRecord,
): Promise<SetupAccount | null> {
  const there = await admin.accountOf(login);
  if (there === null) return null;
  const kept = record.find({ kind: "account", name: login });
  const isOurs = kept?.kind === "account" && kept.email === there.email && (kept.id ?? there.id) === there.id;
  if (!isOurs) throw rightsTaken(login);
  return there;
}

/** Makes the account, with a new e-mail each time it is tried. */
async function createOwn(
  admin: SetupForge,
  { login, password }: { readonly login: string; readonly password: string },
  record: SetupRecord,
): Promise<void> {
  const email = `${login.toLowerCase()}.${randomBytes(10).toString("hex")}@localhost.invalid`;
  const mark = { kind: "account", name: login, id: null, email } as const;
  record.keep(mark);
  try {
    const made = await admin.createAccount({ login, password, email });
    if (made === null) throw rightsTaken(login);
    record.keep({ ...mark, id: made.id });
  } catch (error) {
    // Of what the forge did not answer nobody knows whether it was done; what it refused was not.
    if (error instanceof LazarusError && ["forge-refused", "usage"].includes(error.code)) record.drop(mark);
    throw error;
  }
}

/** Makes the account and its token, which is in a file before anything else happens. */
export function accountStep(
  at: { readonly admin: SetupForge; readonly file: string; open(auth: SetupAuth): SetupForge },
  login: string,
  record: SetupRecord,
): Step {
  return {
    ...{ what: `account ${login}`, state: "make", detail: "asked who may do what; its token may only read" },
    async run() {
      const password = randomBytes(24).toString("base64url");
      const own = at.open({ login, password });
      // Looked for again: somebody may have taken the name since the plan.
      if ((await ownAccount(at.admin, login, record)) === null)
        await createOwn(at.admin, { login, password }, record);
      else {
        // A killed run made it, and lost the token: nobody knows its password.
        await at.admin.changePassword(login, password);
        await own.deleteToken(login, "lazarus");
      }
      const token = await own.createToken(login, "lazarus", RIGHTS_SCOPES);
      replaceSecret(record, secretPath(at.file, "rights-token"), token);
      return undefined;
    },
  };
}

export interface People {
  readonly admin: SetupForge | null;
  readonly rights: RightsAccount;
  readonly bot: string;
  readonly publicUrl: string;
}

/** Who is to be what on a repository: the rights account administers it, and the bot writes. */
export async function peopleSteps(at: People, repository: Repository): Promise<Step[]> {
  const { admin, rights, bot } = at;
  const { fullName, mine } = repository;
  const name = nameOf(repository);
  const page = peoplePage(at, repository);
  const add = (login: string, permission: "admin" | "write", state: "make" | "change"): Step => ({
    ...{ what: `${login} on ${fullName}`, state },
    detail: permission === "admin" ? "Administrator" : state === "make" ? "Write" : "Write, which is enough",
    run: async () => void (await admin?.addCollaborator(name, login, permission)),
  });
  if (rights.kind === "bot") return admin === null || mine.admin ? [] : [add(bot, "admin", "change")];
  const steps: Step[] = [];
  const other = `${rights.login} on ${fullName}`;
  const seen = rights.kind === "make" ? null : await rights.forge.repository(name);
  if (seen?.mine.admin === true) steps.push(there(other, "Administrator"));
  else if (admin !== null) steps.push(add(rights.login, "admin", seen === null ? "make" : "change"));
  else steps.push(yoursAsAdmin(other, `make it an Administrator at ${page}, and run setup again`));
  const what = `${bot} on ${fullName}`;
  if (!mine.push) {
    if (admin !== null) steps.push(add(bot, "write", "make"));
    else steps.push(yoursAsAdmin(what, `give it Write at ${page}, and run setup again`));
  } else if (!mine.admin) steps.push(there(what, "Write"));
  else if (admin !== null && (await admin.isCollaborator(name, bot))) steps.push(add(bot, "write", "change"));
  else {
    const tell = admin === null ? yoursAsAdmin : yours;
    const by = admin === null ? "" : ", as its owner or by a team,";
    steps.push(tell(what, `it administers it${by} and need not: give it Write at ${page}`));
  }
  return steps;
}
