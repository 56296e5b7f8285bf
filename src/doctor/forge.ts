import { readFileSync } from "node:fs";
import { systemClock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import { createForge, parseRepositoryName } from "../gitea/client.ts";
import type { Forge, RepositoryName } from "../gitea/port.ts";
import { createRedactor } from "../redact.ts";
import type { Finding } from "./finding.ts";
import { examineHook } from "./hook.ts";

/**
 * Whether the forge answers, who the token is, and what it may do on each repository that is named. It
 * changes nothing, and has each hook deliver a test where a server runs.
 */
export async function examineForge(config: Config): Promise<Finding[]> {
  const { url, token, caFile, repositories } = config.forge;
  let forge: Forge;
  let findings: Finding[];
  try {
    forge = createForge({
      ...{ url, token, clock: systemClock, redact: createRedactor(config.secrets).redact },
      ca: caFile === null ? undefined : readFileSync(caFile, "utf8"),
      proxyFor: (to) => config.proxyFor(to),
    });
    const version = await forge.version();
    const me = await forge.me();
    findings = [
      { level: "ok", what: "forge", detail: `${url}, version ${version}; the token is ${me.login}'s` },
    ];
  } catch (error) {
    return [{ level: "FAIL", what: "forge", detail: explain(error) }];
  }
  for (const pattern of repositories) {
    const name = parseRepositoryName(pattern);
    if (name !== null)
      findings.push(...(await guarded(pattern, () => examineRepository(forge, name, config))));
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

async function examineRepository(forge: Forge, name: RepositoryName, config: Config): Promise<Finding[]> {
  const what = `${name.owner}/${name.name}`;
  const found = await forge.repository(name);
  if (found === null) {
    return [
      {
        level: "FAIL",
        what,
        detail: "there is no such repository, or the bot may not see it: add the bot as an administrator",
      },
    ];
  }
  const { admin, push } = found.mine;
  if (!push || !admin) {
    const lacks = push ? "administer" : "write to";
    const why = "the forge tells permissions to administrators only, and Lazarus asks before each command";
    return [
      { level: "FAIL", what, detail: `the bot may not ${lacks} it: add it as an administrator (${why})` },
    ];
  }
  const isFixed = found.isArchived || found.isMirror;
  const rights: Finding = isFixed
    ? { level: "warn", what, detail: "it is archived or a mirror: nothing can be pushed to it" }
    : { level: "ok", what, detail: "the bot may read, push and ask for permissions" };
  return [rights, await examineHook(forge, name, config)];
}

async function examineTeam(forge: Forge, entry: string): Promise<Finding[]> {
  const [org = "", team = ""] = entry.split("/");
  const what = `directors: ${entry}`;
  if (await forge.isTeamVisible(org, team))
    return [{ level: "ok", what, detail: "the bot can see who is in it" }];
  const detail = `there is no such team, or the bot cannot see it, so nobody in it is a director: make the bot a member of ${org}`;
  return [{ level: "warn", what, detail }];
}
