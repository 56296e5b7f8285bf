import type { Config } from "../config/config.ts";
import type { GivenSecret } from "../protocol/shapes.ts";
import type { Run } from "./cell.ts";

/**
 * What agents of a cell were given, each once. Of a run of which nobody wrote that down it is what its agent
 * names and this process does not have: those cannot be looked for.
 */
export function secretsGiven(
  runs: readonly Pick<Run, "agent" | "startedAt" | "secrets">[],
  { agents }: Pick<Config, "agents">,
): GivenSecret[] {
  const given = new Map<string, GivenSecret>();
  for (const { agent, startedAt, secrets } of runs) {
    if (startedAt === null) continue;
    const unset = agents.get(agent)?.unsetEnv ?? [];
    for (const one of secrets ?? unset.map((name) => ({ name, mark: null })))
      given.set(`${one.name} ${one.mark}`, one);
  }
  return [...given.values()];
}
