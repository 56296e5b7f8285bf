import type { Config } from "../config/config.ts";
import type { RepositoryName } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { type Finding, finding } from "./finding.ts";

const WHAT = "forge's own address";

/**
 * Whether the forge calls itself (`ROOT_URL`) what browsers reach it by: cards, drafts and mails link to what
 * it calls itself.
 */
export async function examineRootUrl(
  forge: Pick<SetupForge, "calledItself">,
  name: RepositoryName,
  { forge: { url, publicUrl } }: Pick<Config, "forge">,
): Promise<Finding[]> {
  const own = await forge.calledItself(name);
  if (own === null) return [];
  if (own === publicUrl) return [finding("ok", WHAT, `${own}, as browsers reach it`)];
  const cure = `set ROOT_URL = ${publicUrl}/ in [server] of the forge's app.ini and restart it`;
  const other = own === url ? "" : `; or, where ${own} is right for browsers, set forge.public_url: ${own}`;
  return [
    finding(
      "warn",
      WHAT,
      `it calls itself ${own}, browsers reach it as ${publicUrl}: links lead astray: ${cure}${other}`,
    ),
  ];
}
