import { type Clock, systemClock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { Backend, BackendName } from "./backend.ts";
import { containerBackend } from "./container.ts";
import { processBackend } from "./process.ts";
import { sandboxBackend } from "./sandbox.ts";

/**
 * The backends, by name; whether each works here is for its `check` to say. The container's is there only where an agent names it, since asking its engine takes
 * time.
 */
export function createBackends(
  config: Pick<Config, "agents" | "container" | "engineEnv" | "childPath">,
  clock: Clock = systemClock,
): ReadonlyMap<BackendName, Backend> {
  const all = [processBackend(clock), sandboxBackend(clock)];
  if ([...config.agents.values()].some((agent) => agent.backend === "container")) {
    const { engine, args } = config.container;
    all.push(containerBackend({ engine, args, env: config.engineEnv, hostPath: config.childPath, clock }));
  }
  return new Map(all.map((backend) => [backend.name, backend]));
}
