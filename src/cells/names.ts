import { createHash } from "node:crypto";

/**
 * The session that an agent goes on with in one cell: a UUID made of both names, so that nothing needs to
 * remember it. It reads as one of version 4: qwen takes no later ones.
 */
export function sessionIdOf(cellId: string, agent: string): string {
  const hex = createHash("sha256").update(`${cellId} ${agent}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The name of a run's log below `logs/`. */
export function logNameOf(agent: string, run: number): string {
  return `${agent}-${run}.log`;
}

/** What stands for an agent's name in the name of a setup's log: no agent can be called so. */
export const SETUP_LOG = "setup";

/** The same of a check's: `check-<name>-<n>.log`. No agent's name begins so. */
export function checkLogOwner(name: string): string {
  return `check-${name}`;
}
