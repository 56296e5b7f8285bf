import { systemClock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { parseRepositoryName } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { RIGHTS_SCOPES } from "../setup/bot.ts";
import { wrongScopes } from "../setup/rights.ts";
import { formatDuration } from "../units.ts";
import { type Finding, finding } from "./finding.ts";

/** The `Date` header counts whole seconds, so less than this is nothing. */
const SKEW_MS = 2_000;
const NEEDED = "write:issue, write:repository, read:user and read:organization";

/** Whether the forge's clock and this machine's agree: who did what when is told by the forge's. */
export async function examineClock(forge: Pick<SetupForge, "hello">): Promise<Finding[]> {
  const before = systemClock.now();
  const { clock, tookMs } = await forge.hello();
  const skew = clock - before;
  if (Math.abs(skew) <= SKEW_MS + tookMs) return [finding("ok", "clock", "agrees with the forge's")];
  const by = formatDuration(Math.round(Math.abs(skew) / 1_000) * 1_000);
  const how = skew > 0 ? "behind" : "ahead of";
  return [
    finding(
      "warn",
      "clock",
      `this machine's is ${by} ${how} the forge's: have both set by NTP (timedatectl set-ntp true)`,
    ),
  ];
}

/** Whether the token of `forge.rights_token` may read, and may not write. */
export async function examineRightsToken(
  rights: Pick<SetupForge, "lackingScopes">,
  { forge: { publicUrl, repositories } }: Pick<Config, "forge">,
): Promise<Finding[]> {
  const what = "forge.rights_token";
  const [name] = repositories.flatMap((one) => parseRepositoryName(one) ?? []);
  if (name === undefined) return [];
  const wrong = wrongScopes(await rights.lackingScopes(name));
  if (wrong === null) return [finding("ok", what, "its token may read, and not write")];
  const how = `make one with ${RIGHTS_SCOPES.join(", ")} alone at ${publicUrl}/user/settings/applications`;
  return [finding("warn", what, `its token ${wrong}: ${how}`)];
}

/** Whose token it is, and whether it may do too little or too much. */
export async function examineAccount(
  forge: Pick<SetupForge, "me" | "lackingScopes" | "hasMoreScopes" | "mustChangePassword">,
  { forge: { url, publicUrl, repositories } }: Pick<Config, "forge">,
): Promise<Finding[]> {
  if (await forge.mustChangePassword()) {
    const how = `sign in as it at ${publicUrl} and choose another, or as an administrator run: gitea admin user change-password --must-change-password=false`;
    return [finding("FAIL", "account", `${url} refuses it until its password was changed: ${how}`)];
  }
  const me = await forge.me();
  const findings: Finding[] = [];
  if (me.isSiteAdmin)
    findings.push(
      finding(
        "warn",
        "account",
        `${me.login} administers the whole forge, and need not: take that away at ${publicUrl}/-/admin/users`,
      ),
    );
  const page = `${publicUrl}/user/settings/applications`;
  const [name] = repositories.flatMap((one) => parseRepositoryName(one) ?? []);
  const lacking = name === undefined ? [] : await forge.lackingScopes(name);
  if (lacking.length > 0)
    findings.push(
      finding(
        "FAIL",
        "token",
        `it lacks the scopes ${lacking.join(", ")}: make one with ${NEEDED} at ${page}`,
      ),
    );
  else if (await forge.hasMoreScopes())
    findings.push(
      finding("warn", "token", `it may more than it needs: make one with ${NEEDED} alone at ${page}`),
    );
  else findings.push(finding("ok", "token", "it has the scopes that are needed"));
  return findings;
}
