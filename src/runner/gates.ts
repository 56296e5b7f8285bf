import { join } from "node:path";
import { type Gate, openGate } from "../backends/sandbox/gate.ts";
import { gateDirOf } from "../backends/sandbox/sandbox.ts";
import type { AgentConfig } from "../config/config.ts";
import type { Log } from "../log.ts";
import { pathsOf } from "./disk/directory.ts";

/**
 * The ways of running sandboxes to the hosts that their agents may reach: one a cell, opened before a start
 * and when a run is adopted.
 */
export interface Gates {
  /**
   * Opens the gate of a run where its agent has listed hosts; nothing to do for others, or where it is open.
   */
  open(cellId: string, agent: Pick<AgentConfig, "name" | "backend" | "network">): Promise<void>;
  /** Closes it, and answers what was refused: `host:port`, each once. */
  close(cellId: string): Promise<string[]>;
  closeAll(): Promise<void>;
}

/** Gates of the cells below one missions directory. */
export function createGates(deps: { cellDir: (cellId: string) => string; log: Log }): Gates {
  const open = new Map<string, Gate>();
  return {
    async open(cellId, agent) {
      if (agent.backend !== "sandbox" || typeof agent.network === "string" || open.has(cellId)) return;
      const paths = pathsOf(deps.cellDir(cellId));
      const dir = gateDirOf({ cell: paths.cell, home: join(paths.home, agent.name) });
      open.set(cellId, await openGate({ cellId, dir, hosts: agent.network, log: deps.log }));
    },
    async close(cellId) {
      const gate = open.get(cellId);
      open.delete(cellId);
      if (gate === undefined) return [];
      await gate.close();
      return gate.refused();
    },
    async closeAll() {
      const gates = [...open.values()];
      open.clear();
      await Promise.all(gates.map((gate) => gate.close()));
    },
  };
}
