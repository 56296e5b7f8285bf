import { systemClock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import { parseRepositoryName } from "../gitea/client.ts";
import type { Forge, Person, Repository, RepositoryName } from "../gitea/port.ts";
import { openForge, openRightsAccount } from "../open-forge.ts";
import { createRedactor } from "../redact.ts";
import type { Finding } from "./finding.ts";
import { examineHook } from "./hook.ts";

/**
 * Whether the forge answers, who the token is, and what it may do on each repository that is named. It
 * changes nothing, and has each hook deliver a test where a server runs.
 */
export async function examineForge(config: Config): Promise<Finding[]> {
  const { url, repositories } = config.forge;
  let forge: Forge;
  let rights: Forge | null;
  let findings: Finding[];
  try {
    const options = { clock: systemClock, redact: createRedactor(config.secrets).redact };
    forge = openForge(config, options);
    const version = await forge.version();
    const me = await forge.me();
    findings = [
      { level: "ok", what: "forge", detail: `${url}, version ${version}; the token is ${me.login}'s` },
    ];
    rights = openRightsAccount(config, options);
    if (rights !== null) findings.push(await examineRightsAccount(rights, me));
  } catch (error) {
    return [{ level: "FAIL", what: "forge", detail: explain(error) }];
  }
  for (const pattern of repositories) {
    const name = parseRepositoryName(pattern);
    if (name !== null)
      findings.push(...(await guarded(pattern, () => examineRepository({ forge, rights }, name, config))));
    else findings.push({ level: "ok", what: pattern, detail: "a pattern, not a repository: not checked" });
  }
  for (const entry of config.directors.filter((each) => each.includes("/"))) {
    findings.push(...(await guarded(entry, () => examineTeam(forge, entry))));
  }
  return findings;
}

async function guarded(what: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [{ level: "FAIL", what, detail: explain(error) }];
  }
}

async function examineRightsAccount(rights: Forge, bot: Person): Promise<Finding> {
  const what = "forge.rights_token";
  const { id, login } = await rights.me();
  if (id !== bot.id) return { level: "ok", what, detail: `${login} is asked who may do what` };
  return { level: "warn", what, detail: `is the bot's own account's, which gains nothing: make another one` };
}

async function examineRepository(
  by: { readonly forge: Forge; readonly rights: Forge | null },
  name: RepositoryName,
  config: Config,
): Promise<Finding[]> {
  const what = `${name.owner}/${name.name}`;
  const found = await by.forge.repository(name);
  if (found === null) {
    const role = by.rights === null ? "an administrator" : "somebody who may write";
    const detail = `there is no such repository, or the bot may not see it: add the bot as ${role}`;
    return [{ level: "FAIL", what, detail }];
  }
  const lacking = await lackOf(found, by.rights, name);
  if (lacking !== null) return [{ level: "FAIL", what, detail: lacking }];
  const isFixed = found.isArchived || found.isMirror;
  const rights: Finding = isFixed
    ? { level: "warn", what, detail: "it is archived or a mirror: nothing can be pushed to it" }
    : { level: "ok", what, detail: "the bot may read and push, and permissions can be asked for" };
  const more: Finding[] =
    by.rights !== null && found.mine.admin
      ? [
          {
            level: "warn",
            what,
            detail:
              "the bot administers it and need not: give it write, another account asks for permissions",
          },
        ]
      : [];
  const eyes = { forge: by.rights ?? by.forge, tests: found.mine.admin ? by.forge : null };
  return [rights, ...more, await examineHook(eyes, name, config)];
}

const WHY = "the forge tells permissions to administrators only, and Lazarus asks before each command";

/** What an account may not do that has to; null: nothing. */
async function lackOf(
  { mine }: Repository,
  rights: Forge | null,
  name: RepositoryName,
): Promise<string | null> {
  if (rights !== null) {
    if (!mine.push) return "the bot may not write to it: give it write permission";
    const asks = (await rights.repository(name))?.mine.admin === true;
    return asks
      ? null
      : `the account of forge.rights_token may not administer it: add it as an administrator (${WHY})`;
  }
  if (mine.push && mine.admin) return null;
  const lacks = mine.push ? "administer" : "write to";
  const other = "or name another account's token in forge.rights_token, and give the bot write";
  return `the bot may not ${lacks} it: add it as an administrator, ${other} (${WHY})`;
}

async function examineTeam(forge: Forge, entry: string): Promise<Finding[]> {
  const [org = "", team = ""] = entry.split("/");
  const what = `directors: ${entry}`;
  if (await forge.isTeamVisible(org, team))
    return [{ level: "ok", what, detail: "the bot can see who is in it" }];
  const detail = `there is no such team, or the bot cannot see it, so nobody in it is a director: make the bot a member of ${org}`;
  return [{ level: "warn", what, detail }];
}
