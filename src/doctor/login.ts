import type { Config } from "../config/config.ts";
import { placeOf, redirectOf } from "../dashboard/place.ts";
import { tryApplication } from "../gitea/application-secret.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { wayTo } from "../open-forge.ts";
import { type Finding, finding } from "./finding.ts";

const WHAT = "login";
const APPLICATION_CURE = "run lazarus setup, or docs/dashboard.md by hand";

/** Whether people can sign in to the dashboard through the forge. */
export async function examineLogin(
  forge: Pick<SetupForge, "applications">,
  config: Config,
): Promise<Finding[]> {
  const { client } = config.login;
  if (client === null)
    return [finding("ok", WHAT, "nobody signs in through the forge; lazarus open lets its operator in")];
  const findings = [...aboutTransport(config), ...(await aboutApplication(forge, config, client.id))];
  const isFine = findings.length === 0;
  return isFine
    ? [finding("ok", WHAT, `through the forge, which sends people back to ${redirectOf(config.server.url)}`)]
    : findings;
}

function aboutTransport({ server, login }: Config): Finding[] {
  const { isHttps, isLoopback } = placeOf(server.url);
  if (isHttps || isLoopback) return [];
  if (login.allowsHttp)
    return [
      finding(
        "warn",
        WHAT,
        `${server.url} is plain http: whoever sees the traffic is in. Serve it by https (docs/dashboard.md)`,
      ),
    ];
  return [
    finding(
      "FAIL",
      WHAT,
      `sign-in is refused, since ${server.url} is plain http off this machine: serve it by https, or set login.allow_http: true`,
    ),
  ];
}

async function aboutApplication(
  forge: Pick<SetupForge, "applications">,
  config: Config,
  id: string,
): Promise<Finding[]> {
  const { client } = config.login;
  if (client === null) return [];
  const redirect = redirectOf(config.server.url);
  const way = wayTo(config);
  const standing = await tryApplication({ url: config.forge.url, client, redirect, ...way });
  if (standing === "no-such-application")
    return [
      finding("FAIL", WHAT, `the forge knows no application ${id} (login.client_id): ${APPLICATION_CURE}`),
    ];
  if (standing === "wrong-secret")
    return [
      finding(
        "FAIL",
        WHAT,
        `the forge refuses the secret of application ${id} (login.client_secret): make a new one on its page there`,
      ),
    ];
  // Those of another account are not seen.
  const own = (await forge.applications())?.find((one) => one.clientId === id);
  if (own === undefined || own.redirects.includes(redirect)) return [];
  return [
    finding(
      "FAIL",
      WHAT,
      `application ${id} sends people back to ${own.redirects.join(", ")}, and the dashboard is at ${redirect}: ${APPLICATION_CURE}`,
    ),
  ];
}
