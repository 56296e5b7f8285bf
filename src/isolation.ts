import type { Backend, BackendCheck, BackendName } from "./backends/backend.ts";
import { containerBackend } from "./backends/container/container.ts";
import type { CellGroups } from "./backends/os/groups/cell-groups.ts";
import { processBackend } from "./backends/process.ts";
import { sandboxBackend } from "./backends/sandbox/sandbox.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { AgentConfig, Config } from "./config/config.ts";

/**
 * The backends, by name; whether each works here is for its `check` to say. The container's is there only
 * where an agent names it, since asking its engine takes time.
 */
export function createBackends(
  config: Pick<Config, "agents" | "container" | "engineEnv" | "childPath">,
  groups: CellGroups,
  clock: Clock = systemClock,
): ReadonlyMap<BackendName, Backend> {
  const all = [processBackend(clock, groups), sandboxBackend(clock, groups)];
  if ([...config.agents.values()].some((agent) => agent.backend === "container")) {
    const { engine, args } = config.container;
    all.push(containerBackend({ engine, args, env: config.engineEnv, hostPath: config.childPath, clock }));
  }
  return new Map(all.map((backend) => [backend.name, backend]));
}

/** The agents as this machine can run them, and what is to be said of it at start. */
export interface Settled {
  readonly agents: Map<string, AgentConfig>;
  readonly notices: readonly string[];
}

/**
 * Looks which backends work here. An agent whose backend does not is refused when it is summoned, with what
 * is missing: also where its configuration names none, and the sandbox does not work. That an agent runs as a
 * plain process is a decision that stands in the file.
 */
export async function settleBackends(
  config: Pick<Config, "agents">,
  backends: ReadonlyMap<BackendName, Backend>,
): Promise<Settled> {
  const wanted = new Set([...config.agents.values()].map((agent) => agent.backend));
  const checks = new Map<BackendName, BackendCheck>();
  for (const name of wanted) {
    const backend = backends.get(name);
    const missing: BackendCheck = {
      ok: false,
      why: `there is no backend ${name} here`,
      fix: "choose another",
    };
    checks.set(name, backend === undefined ? missing : await checked(backend));
  }
  const notices: string[] = [];
  const agents = new Map<string, AgentConfig>();
  for (const agent of config.agents.values()) agents.set(agent.name, settle(agent, checks, notices));
  return { agents, notices };
}

const AGAIN_MS = 60_000;

/**
 * Looks again, every minute, at backends that did not work: an agent that could not be summoned for that
 * alone can be as soon as one does. The answered function ends it.
 */
export function keepLooking(
  { agents }: Settled,
  {
    given,
    backends,
  }: { readonly given: Pick<Config, "agents">; readonly backends: ReadonlyMap<BackendName, Backend> },
  {
    clock,
    works,
    failed,
  }: {
    readonly clock: Pick<Clock, "after">;
    readonly works: (agent: string) => void;
    readonly failed: (why: unknown) => void;
  },
): () => void {
  let isOver = false;
  let cancel = () => {};
  const waiting = () =>
    [...given.agents.values()].filter(
      ({ name, unavailable }) => unavailable === null && agents.get(name)?.unavailable !== null,
    );
  const look = async () => {
    const found = new Map<BackendName, boolean>();
    for (const agent of waiting()) {
      const backend = backends.get(agent.backend);
      if (backend === undefined) continue;
      const isWorking = found.get(agent.backend) ?? (await backend.check()).ok;
      found.set(agent.backend, isWorking);
      if (!isWorking || isOver) continue;
      agents.set(agent.name, agent);
      works(agent.name);
    }
  };
  const schedule = () => {
    if (isOver || waiting().length === 0) return;
    cancel = clock.after(AGAIN_MS, () => void look().catch(failed).finally(schedule));
  };
  schedule();
  return () => {
    isOver = true;
    cancel();
  };
}

/** A machine that has much to do may fail a look that has a clock: three are enough to believe it. */
async function checked(backend: Backend): Promise<BackendCheck> {
  let check = await backend.check();
  for (let again = 1; again < LOOKS && !check.ok; again++) check = await backend.check();
  return check;
}

const LOOKS = 3;

function settle(
  agent: AgentConfig,
  checks: ReadonlyMap<BackendName, BackendCheck>,
  notices: string[],
): AgentConfig {
  const check = checks.get(agent.backend);
  if (check === undefined || check.ok) {
    if (agent.backend === "process") notices.push(...plainNotices(agent, "as configured"));
    return agent;
  }
  const choice = agent.isDefaultBackend
    ? `, or write backend: process into agents.${agent.name}, where it is not isolated`
    : "";
  const why = `its backend ${agent.backend} does not work here: ${check.why}; ${check.fix}${choice}`;
  notices.push(`agents.${agent.name}: cannot be summoned, ${why}`);
  return { ...agent, unavailable: agent.unavailable ?? why };
}

/** What a plain process does not give, said for each agent that is one. */
function plainNotices(agent: AgentConfig, why: string): string[] {
  const path = `agents.${agent.name}`;
  // As root every cell has a user of its own, which cannot read what is Lazarus' alone.
  const reach = process.getuid?.() === 0 ? "everybody on this machine may read" : "Lazarus can read";
  const said = [`${path}: runs as a plain process, ${why}: it is not isolated from what ${reach}`];
  if (agent.network !== "full")
    said.push(`${path}.network: does not hold in process, where the network is not limited`);
  if (agent.paths.length > 0) said.push(`${path}.paths: does not hold in process, which limits no reading`);
  return said;
}
