import { readFileSync } from "node:fs";
import { systemClock } from "./clock.ts";
import type { Config } from "./config/config.ts";
import { LazarusError } from "./errors.ts";
import { createForge, type ForgeOptions } from "./gitea/client.ts";
import type { Forge } from "./gitea/port.ts";
import { askingRightsAs } from "./gitea/rights-account.ts";
import { createSetupForge, type SetupForge } from "./gitea/setup-calls.ts";
import { measuredForge } from "./metrics/measured-forge.ts";

type Options = Pick<ForgeOptions, "redact" | "clock" | "heard">;

/**
 * The forge as the configuration says: with the bot's account, and, where there is one, with another that is
 * asked who may do what.
 * @throws LazarusError `configuration` where the certificates cannot be read.
 */
export function openForge(config: Config, options: Options): Forge {
  const bot = measuredForge(openAccount(config, options));
  const rights = openRightsAccount(config, options);
  return rights === null ? bot : askingRightsAs(bot, rights);
}

/**
 * The forge as set-up and the doctor use it, with the bot's token or another one.
 * @throws LazarusError `configuration` where the certificates cannot be read.
 */
export function openSetupForge(config: Config, token = config.forge.token): SetupForge {
  const { url } = config.forge;
  return createSetupForge({ url, auth: { token }, ...wayTo(config), clock: systemClock });
}

/** By which certificates and proxy the forge is reached. */
export function wayTo({ forge, proxyFor }: Config) {
  const ca = forge.caFile === null ? undefined : readCertificates(forge.caFile);
  return { ca, proxyFor: (to: URL) => proxyFor(to) };
}

/** Null where the bot asks with its own account. */
export function openRightsAccount(config: Config, options: Options): Forge | null {
  const { token, rightsToken } = config.forge;
  if (rightsToken === token) return null;
  const account = { key: "forge.rights_token", name: "the account of forge.rights_token" };
  return openAccount(config, { ...options, account, token: rightsToken });
}

function openAccount(
  config: Config,
  options: Options & Partial<Pick<ForgeOptions, "account" | "token">>,
): Forge {
  const { url, token } = config.forge;
  return createForge({ ...{ url, token, ...options }, ...wayTo(config) });
}

/** @throws LazarusError `configuration` where they cannot be read. */
export function readCertificates(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new LazarusError("configuration", `reading ${path} (forge.ca_file in lazarus.yaml)`, { cause });
  }
}
