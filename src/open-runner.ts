import type { Backend, BackendName } from "./backends/backend.ts";
import type { CellGroups } from "./backends/os/groups/cell-groups.ts";
import { findGroups } from "./backends/os/groups/find-groups.ts";
import type { Clock } from "./clock.ts";
import type { AgentConfig, Config } from "./config/config.ts";
import { explain } from "./errors.ts";
import { createBackends, keepLooking, settleBackends } from "./isolation.ts";
import type { Log } from "./log.ts";
import type { AnyReport } from "./protocol/reports.ts";
import type { RunnerPort } from "./protocol/runner-port.ts";
import type { SealPlace } from "./protocol/seal-place.ts";
import { type HeartbeatAccess, openHeartbeatAccess } from "./runner/heartbeat-tokens.ts";
import { localPort } from "./runner/local-port.ts";
import { createRunner, type Runner } from "./runner/runner.ts";

export interface RunnerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly redact: (text: string) => string;
  /** One more secret that `redact` is to hide. */
  readonly learn: (secret: string) => void;
  /** With what git goes to the forge, where it goes through a gate. */
  readonly tokenFor?: (args: readonly string[]) => string;
  /** Where control keeps seals besides here; null: nowhere. */
  readonly seals?: SealPlace | null;
  /** Takes what the runner sees by itself. */
  readonly report: (report: AnyReport) => void;
  /** What a test puts in place of the real backends. */
  readonly backends?:
    | ((made: ReadonlyMap<BackendName, Backend>) => ReadonlyMap<BackendName, Backend>)
    | undefined;
}

export interface OpenRunner {
  readonly port: RunnerPort;
  /** The agents as this machine can run them. */
  readonly agents: ReadonlyMap<string, AgentConfig>;
  readonly heartbeats: HeartbeatAccess;
}

/** A runner that is ready to begin: what works on this machine is known. */
export interface PreparedRunner extends Omit<OpenRunner, "port"> {
  /** Begins, once. `policy`: what another host says holds here. */
  begin(policy?: Partial<Pick<Config, "publish" | "checks">>): Runner;
  /** Where it has not begun. */
  close(): void;
}

/**
 * The side that touches disk, processes and git, on this machine: its backends are tried first, and what does
 * not work here is said.
 */
export async function openRunner(given: Config, options: RunnerOptions): Promise<OpenRunner> {
  const { begin, agents, heartbeats } = await prepareRunner(given, options);
  return { port: begin(), agents, heartbeats };
}

export async function prepareRunner(given: Config, options: RunnerOptions): Promise<PreparedRunner> {
  const { clock, log, report } = options;
  const groups = await findGroups(given.dataDir);
  sayGroups(groups, log);
  const made = createBackends(given, groups, clock);
  const backends = options.backends?.(made) ?? made;
  const settled = await settleBackends(given, backends);
  const { agents, notices } = settled;
  for (const notice of notices) log.warn({}, notice);
  const heartbeats = openHeartbeatAccess(given.dataDir, given.server.url);
  const stopLooking = keepLooking(
    settled,
    { given, backends },
    {
      clock,
      works: (agent) => log.info({ agent }, "an agent can be summoned now: its backend works"),
      failed: (error) => log.warn({ why: explain(error) }, "a look at a backend failed; trying again"),
    },
  );
  return {
    agents,
    heartbeats,
    begin(policy = {}) {
      const runner = createRunner({
        ...options,
        ...{ config: { ...given, agents, ...policy }, heartbeats, backends, groups },
        // Only root can give cells users of their own.
        asRoot: process.geteuid?.() === 0,
        report: (one) => report(structuredClone(one)),
      });
      const port = localPort(runner);
      const close = async () => {
        stopLooking();
        await port.close();
      };
      return { ...port, close, trees: runner.trees };
    },
    close: stopLooking,
  };
}

function sayGroups({ check }: CellGroups, log: Log): void {
  if (check.ok) log.info({ groups: check.note }, "control groups");
  else log.warn({ why: check.why }, `control groups: ${check.why}; ${check.fix}`);
}
