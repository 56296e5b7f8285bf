import type { RunnerRow } from "./cells/registry/runners.ts";
import type { AgentConfig } from "./config/config.ts";

/**
 * An agent that the file only names, so that it has `runs_on`, a director's rule or a budget: it runs
 * elsewhere.
 */
export function isOnlyNamed({ preset, command }: Pick<AgentConfig, "preset" | "command">): boolean {
  return preset === null && command === null;
}

/** A map that is made anew for each look, since what it is made of changes. */
export function lookingAt<V>(now: () => ReadonlyMap<string, V>): ReadonlyMap<string, V> {
  return {
    get size() {
      return now().size;
    },
    get: (name) => now().get(name),
    has: (name) => now().has(name),
    keys: () => now().keys(),
    values: () => now().values(),
    entries: () => now().entries(),
    forEach: (fn, self) => now().forEach(fn, self),
    [Symbol.iterator]: () => now()[Symbol.iterator](),
  };
}

/** The agents of this host, and of every runner: one that cannot be run here may be there. */
export function agentsEverywhere(
  local: ReadonlyMap<string, AgentConfig>,
  { rows, hasLocal }: { readonly rows: () => RunnerRow[]; readonly hasLocal: boolean },
): ReadonlyMap<string, AgentConfig> {
  const now = (): Map<string, AgentConfig> => {
    const all = new Map<string, AgentConfig>();
    for (const agent of local.values())
      all.set(
        agent.name,
        hasLocal
          ? agent
          : { ...agent, unavailable: agent.unavailable ?? "this host runs no cells (runner.slots)" },
      );
    for (const { name: runner, facts } of rows())
      for (const there of facts?.agents ?? []) {
        const here = all.get(there.name);
        if (here === undefined) all.set(there.name, { ...NOWHERE, ...agentOf(there) });
        else if (here.unavailable !== null)
          all.set(there.name, {
            ...here,
            unavailable:
              there.unavailable === null ? null : `${here.unavailable}; on ${runner}: ${there.unavailable}`,
          });
      }
    return all;
  };
  return lookingAt(now);
}

type There = NonNullable<RunnerRow["facts"]>["agents"][number];

function agentOf(there: There): Partial<AgentConfig> & Pick<AgentConfig, "name"> {
  const { name, backend, network, unavailable, hasCoAuthor, costUsd, tokens, runMs, preset } = there;
  return {
    ...{ name, backend, network, unavailable, preset: preset as AgentConfig["preset"] },
    git: { ...NOWHERE.git, hasCoAuthor },
    limits: { ...NOWHERE.limits, costUsd, tokens, runMs },
  };
}

/** What control does not know, and does not need to, of an agent of another host. */
const NOWHERE: AgentConfig = {
  ...{ name: "", preset: null, command: null, args: [], model: null, brief: null, homeTemplate: null },
  ...{ env: {}, unsetEnv: [], pass: {}, unsetPass: [], set: {}, healthUrl: null, runsOn: [] },
  git: { name: null, email: null, keyPath: null, hasCoAuthor: false },
  ...{
    backend: "sandbox",
    isDefaultBackend: false,
    unavailable: null,
    network: "none",
    image: null,
    paths: [],
  },
  limits: {
    ...{ runMs: 0, memoryBytes: null, processes: null, logBytes: 0, fileBytes: 0 },
    ...{ quietMs: 0, stalledMs: 0, costUsd: 0, tokens: 0 },
  },
};
