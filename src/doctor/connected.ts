import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import { parseRepositoryName } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { openSetupForge } from "../open-forge.ts";
import { handsOn } from "../setup/forge-steps.ts";
import { examineAccount, examineClock, examineRightsToken } from "./account.ts";
import { examineHookEvents, examineLabels } from "./complete.ts";
import { type Finding, finding } from "./finding.ts";
import { examineForge } from "./forge.ts";
import { examineLogin } from "./login.ts";
import { examineRootUrl } from "./root-url.ts";

/**
 * All that the forge tells: it and the token, the clocks, each repository, and the application to sign in by.
 */
export async function examineConnected(config: Config): Promise<Finding[]> {
  const first = await examineForge(config);
  const forge = openSetupForge(config);
  if (first.some((one) => one.what === "forge" && one.level === "FAIL"))
    return [...first, ...(await whyRefused(forge, config))];
  const looks: (readonly [string, () => Promise<Finding[]>])[] = [
    ["clock", () => examineClock(forge)],
    ["account", () => examineAccount(forge, config)],
    ["login", () => examineLogin(forge, config)],
  ];
  const { token, rightsToken } = config.forge;
  const rights = rightsToken === token ? null : openSetupForge(config, rightsToken);
  if (rights !== null) looks.push(["forge.rights_token", () => examineRightsToken(rights, config)]);
  for (const name of config.forge.repositories.flatMap((one) => parseRepositoryName(one) ?? [])) {
    // What is not there, or hidden, was said.
    const repository = await forge.repository(name).catch(() => null);
    if (repository === null) continue;
    const hands = handsOn(repository, { forge, admin: null, rights });
    const fullName = `${name.owner}/${name.name}`;
    if (!looks.some(([what]) => what === "address"))
      looks.push(["address", () => examineRootUrl(forge, name, config)]);
    looks.push([`hook events of ${fullName}`, () => examineHookEvents(hands, name, config)]);
    looks.push([`labels of ${fullName}`, () => examineLabels(forge, name)]);
  }
  const findings = [...first];
  for (const [what, look] of looks) {
    try {
      findings.push(...(await look()));
    } catch (error) {
      findings.push(finding("FAIL", what, explain(error)));
    }
  }
  return findings;
}

/** What else is to be said of a forge that does not answer as it should. */
async function whyRefused(forge: SetupForge, config: Config): Promise<Finding[]> {
  try {
    return (await forge.mustChangePassword()) ? await examineAccount(forge, config) : [];
  } catch {
    // It does not answer at all, which was said.
    return [];
  }
}
