import type { Run } from "../cells/cell.ts";
import { secretsGiven } from "../cells/given-secrets.ts";
import type { Config } from "../config/config.ts";
import { openHeartbeatAccess } from "../runner/heartbeat-tokens.ts";
import { unknownSecrets, whatIsMissing } from "../runner/known-secrets.ts";

/** Why what a cell holds cannot be printed with its secrets hidden; null: it can. */
export function unhidden(
  runs: readonly Pick<Run, "agent" | "startedAt" | "secrets">[],
  config: Config,
): string | null {
  const heartbeats = openHeartbeatAccess(config.dataDir, config.server.url);
  const { missing } = unknownSecrets(secretsGiven(runs, config), { config, heartbeats });
  return missing.length === 0 ? null : whatIsMissing(missing);
}
