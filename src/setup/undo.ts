import { existsSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Config, type Environment, loadConfig } from "../config/config.ts";
import { redirectOf } from "../dashboard/place.ts";
import { explain, LazarusError } from "../errors.ts";
import { parseRepositoryName, type RepositoryName } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { sha256 } from "../hash.ts";
import { openSetupForge } from "../open-forge.ts";
import type { Answers } from "./answers.ts";
import { asToken, saidAdminToken } from "./bot.ts";
import { FORM_PATH, formText } from "./form.ts";
import { ownOf } from "./more-steps.ts";
import { type Made, openRecord } from "./record.ts";
import { askUntil, type Terminal } from "./terminal.ts";

export interface UndoOptions {
  readonly file: string;
  /** For an administrator's token, where one is lent. */
  readonly answers: Answers;
  readonly env: Environment;
  readonly cwd: string;
  readonly terminal: Terminal;
  readonly isYes: boolean;
  readonly isDryRun: boolean;
}

export interface UndoResult {
  readonly removed: readonly string[];
  /** Accounts too, which are never removed. */
  readonly kept: readonly string[];
  /** Whether nothing else was kept. */
  readonly isDone: boolean;
}

/** As whom things are removed from the forge. */
interface By {
  readonly forge: SetupForge;
  /** Null: nobody lent a token. */
  readonly admin: SetupForge | null;
  /** The account that is asked who may do what. */
  readonly rights: SetupForge;
  readonly config: Config;
}

/**
 * Removes exactly what set-up made, the last first, each item after a question. Repositories and accounts
 * stay, and so does a file that somebody changed. What could not be removed stays in the record.
 */
export async function undo(options: UndoOptions): Promise<UndoResult> {
  const { file, env, cwd, terminal, isYes, isDryRun } = options;
  if (!existsSync(file))
    throw new LazarusError("usage", `${file} is not there: name the file that setup made with --config`);
  if (!isYes && !isDryRun && !terminal.isInteractive)
    throw new LazarusError("usage", "nothing was removed: say --yes, or --dry-run to only see what would be");
  const config = loadConfig({ file, env, cwd, needs: ["forge"] });
  const record = openRecord(config.dataDir);
  const by = await openAll(options, config, record.all());
  const removed: string[] = [];
  const kept: string[] = [];
  // Files last: the token to remove the rest with is in them; and at the end the one that leads to them.
  const weight = (one: Made) => (one.kind !== "file" ? 0 : one.name === file ? 2 : 1);
  const order = [...record.all()].reverse().sort((a, b) => weight(a) - weight(b));
  for (const one of order) {
    const what = words(one);
    if (one.kind === "file" && needsFiles(record.all()) && !isDryRun) {
      kept.push(what);
      terminal.say(`! kept        ${what}: what is still on the forge is removed with it`);
      continue;
    }
    if (isDryRun) {
      terminal.say(`- remove ${what}`);
      continue;
    }
    if (!isYes && !/^y(es)?$/i.test(await terminal.ask(`Remove ${what}? [y/N] `))) {
      kept.push(what);
      continue;
    }
    if (one.kind === "account") {
      kept.push(what);
      terminal.say(`✓ stays       ${what}: accounts are never removed; an administrator of the forge can`);
      continue;
    }
    try {
      const why = await remove(one, by);
      if (why === null) record.drop(one);
      (why === null ? removed : kept).push(why === null ? what : `${what}: ${why}`);
      terminal.say(why === null ? `- removed     ${what}` : `! yours to do ${what}: ${why}`);
    } catch (error) {
      kept.push(`${what}: ${explain(error)}`);
      terminal.say(`! yours to do ${what}: ${explain(error)}`);
    }
  }
  if (!isDryRun && record.all().every((one) => one.kind === "account")) record.forget();
  const isDone = kept.every((what) => what.startsWith("account "));
  return { removed, kept, isDone };
}

async function openAll(options: UndoOptions, config: Config, all: readonly Made[]): Promise<By> {
  const { answers, cwd, terminal, isYes, isDryRun } = options;
  const forge = openSetupForge(config);
  const rights = openSetupForge(config, config.forge.rightsToken);
  const said = saidAdminToken(answers, cwd);
  if (said !== null) return { forge, rights, config, admin: openSetupForge(config, said) };
  const mustAsk = async () => {
    for (const one of all)
      if (one.kind === "hook" && (await mayRemoveHook(forge, one.repository)) === false) return true;
    return false;
  };
  if (!terminal.isInteractive || isYes || isDryRun || !(await mustAsk()))
    return { forge, rights, config, admin: null };
  const question = "An administrator's token, to remove hooks with (empty: leave them): ";
  const token = await askUntil(terminal, question, (answer) => (answer === "" ? "" : asToken(answer)), true);
  return { forge, rights, config, admin: token === "" ? null : openSetupForge(config, token) };
}

/** Whether the bot itself may; null: it does not see the repository. */
async function mayRemoveHook(forge: SetupForge, repository: string): Promise<boolean | null> {
  const name = parseRepositoryName(repository);
  const found = name === null ? null : await forge.repository(name);
  return found === null ? null : found.mine.admin;
}

/** Whether something on the forge could not be removed yet. */
function needsFiles(all: readonly Made[]): boolean {
  return all.some((one) => one.kind !== "file" && one.kind !== "account");
}

function words(one: Made): string {
  const on = "repository" in one ? ` on ${one.repository}` : "";
  const name = one.kind === "hook" ? ` to ${one.name}` : ` ${one.name}`;
  return `${one.kind}${name}${on}`;
}

/** Null where it is gone; else why it stays, and what to do. */
async function remove(one: Exclude<Made, { kind: "account" }>, by: By): Promise<string | null> {
  const { forge, config } = by;
  if (one.kind === "file") return removeFile(one);
  if (one.kind === "application") return removeApplication(one, forge, redirectOf(config.server.url));
  const name = parseRepositoryName(one.repository);
  if (name === null) return "that is no repository";
  if (one.kind === "hook") return removeHook(one, name, by);
  // Killed before its number was known: looked for by its name.
  const id = one.id ?? (await find(one, name, forge));
  if (one.kind === "commit") return removeForm(name, forge);
  if (one.kind === "pull-request") {
    if (id !== null) await forge.closePull(name, id);
    await forge.deleteBranch(name, one.name);
    return null;
  }
  if (id === null) return null;
  if (one.kind === "label") await forge.deleteLabel(name, id);
  if (one.kind === "issue") await forge.closeIssue(name, id);
  return null;
}

/** What a person removed by hand is gone too. */
async function removeHook(
  one: Made & { kind: "hook" },
  name: RepositoryName,
  { forge, admin, rights, config }: By,
): Promise<string | null> {
  const removes = admin ?? ((await mayRemoveHook(forge, one.repository)) === true ? forge : null);
  const hooks = await (removes ?? rights).hooks(name);
  const hook = hooks?.find((each) => (one.id === null ? each.url === one.name : each.id === one.id));
  if (hooks !== null && hook === undefined) return null;
  const id = hook?.id ?? one.id;
  if (id === null) return "nobody of ours sees the hooks there: remove it by hand";
  if (removes !== null) return removes.deleteHook(name, id).then(() => null);
  const page = `${config.forge.publicUrl}/${one.repository}/settings/hooks/${id}`;
  return `only an administrator removes it: say --admin-token-file FILE, or remove it at ${page}`;
}

async function removeApplication(one: Made, forge: SetupForge, redirect: string): Promise<string | null> {
  const all = await forge.applications();
  if (all === null) return "the token may not remove it (write:user): remove it in the bot's settings";
  const found = ownOf(all, { kept: one, redirect });
  if (found !== undefined) await forge.deleteApplication(found.id);
  return null;
}

async function find(
  one: Made,
  name: { owner: string; name: string },
  forge: SetupForge,
): Promise<number | null> {
  if (one.kind === "label")
    return (await forge.labels(name)).find((each) => each.name === one.name)?.id ?? null;
  return null;
}

async function removeForm(name: { owner: string; name: string }, forge: SetupForge): Promise<string | null> {
  const found = await forge.file(name, FORM_PATH);
  if (found === null) return null;
  if (found.text !== formText()) return "somebody changed it since";
  await forge.removeFile(name, FORM_PATH, found.sha);
  return null;
}

function removeFile({ name, sha256: made }: Made & { kind: "file" }): string | null {
  if (!existsSync(name)) return null;
  if (sha256(readFileSync(name, "utf8")) !== made) return "somebody changed it since: remove it by hand";
  rmSync(name);
  try {
    rmdirSync(dirname(name));
  } catch {
    // Something else is in it.
  }
  return null;
}
