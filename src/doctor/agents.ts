import { lookup } from "node:dns/promises";
import { readFileSync, rmSync } from "node:fs";
import { connect, isIP } from "node:net";
import { join } from "node:path";
import { agentCommand, agentEnvironment, baseEnvironment } from "../backends/agents.ts";
import type { Backend, BackendName, CellUser } from "../backends/backend.ts";
import { resolveCommand } from "../backends/os/executable.ts";
import { isPublicAddress, parseEndpoint } from "../backends/sandbox/gate-rules.ts";
import { checkVisible, faultOfPath } from "../backends/sandbox/host.ts";
import type { AgentConfig, Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";
import { plain } from "../visible.ts";
import { aboutLogin } from "./agent-login.ts";
import { aboutValues } from "./agent-values.ts";
import { type Finding, finding } from "./finding.ts";
import { childOn, onScene, type Scene } from "./scene.ts";

const VERSION_MS = 20_000;
const RESOLVE_MS = 5_000;
const WIDEST_VERSION = 80;
/** Exit codes of shells, and of what is around an agent: the program was not run. */
const NEVER_BEGAN: readonly number[] = [73, 126, 127];

/**
 * Each agent: whether its program is there as a cell's user sees it, what is missing around it, and its
 * version, asked for in its own isolation.
 */
export async function examineAgents(
  agents: ReadonlyMap<string, AgentConfig>,
  backends: ReadonlyMap<BackendName, Backend>,
  config: Config,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const agent of agents.values()) {
    const what = `agent ${agent.name}`;
    findings.push(
      ...(await onScene(what, config, async (scene) => [
        ...(await examineAgent(agent, backends.get(agent.backend), scene)),
      ])),
    );
  }
  return findings;
}

async function examineAgent(
  agent: AgentConfig,
  backend: Backend | undefined,
  scene: Scene,
): Promise<Finding[]> {
  const what = `agent ${agent.name}`;
  const faults = faultsOf(agent, { path: scene.config.childPath, user: scene.user, root: scene.root });
  if (faults.length > 0 || backend === undefined) return faults.map((one) => finding("FAIL", what, one));
  const lacks = [
    ...unset(agent),
    ...aboutValues(agent),
    ...aboutLogin(agent),
    ...(await aboutNetwork(agent)),
  ].map((one) => finding("warn", what, one));
  const version = await versionOf(agent, backend, scene);
  return [version, ...lacks];
}

interface Around {
  /** PATH of agents. */
  readonly path: string;
  /** As whom a cell's processes run; null: as Lazarus. */
  readonly user: CellUser | null;
  /** Stands for a cell's directory, which no path of an agent may hold. */
  readonly root: string;
}

/** What keeps an agent from being started, found without starting anything. */
export function faultsOf(agent: AgentConfig, { path, user, root }: Around): string[] {
  if (agent.unavailable !== null) return [agent.unavailable];
  if (agent.backend === "container") return faultsInContainer(agent);
  const faults: string[] = [];
  const dirs = {
    ...{ cell: root, worktree: join(root, "worktree"), artifacts: join(root, "artifacts") },
    ...{
      home: join(root, "home"),
      mirror: join(root, "mirror"),
      brief: join(root, "brief.md"),
      prompt: null,
    },
  };
  try {
    const [program = ""] = commandOf(agent, root).command;
    const env = { PATH: commandOf(agent, root).env.PATH ?? path };
    const [executable = ""] = resolveCommand(agent.name, [program], { env, dirs, user });
    if (agent.backend === "sandbox") checkVisible(agent.name, executable, { dirs, paths: agent.paths });
  } catch (error) {
    faults.push(explain(error));
  }
  if (agent.backend !== "sandbox") return faults;
  for (const one of agent.paths) {
    try {
      const fault = faultOfPath(one, { dirs, user });
      if (fault !== null) faults.push(`paths: ${one} ${fault}`);
    } catch (error) {
      faults.push(`paths: ${one} cannot be looked at: ${explain(error)}`);
    }
  }
  return faults;
}

function faultsInContainer(agent: AgentConfig): string[] {
  const faults: string[] = [];
  if (agent.image === null) faults.push("image: the backend container needs one");
  if (typeof agent.network !== "string")
    faults.push(
      "network: a list of hosts does not hold in containers: write none or full, or use the sandbox",
    );
  return faults;
}

/**
 * Says of each agent that cannot work, in one line, why: without starting anything, so that nothing waits for
 * it. What `given`, the agents before their backends were looked at, does not say was said then.
 */
export function warnOfAgents(
  config: Pick<Config, "agents" | "childPath" | "missionsDir" | "uids">,
  given: Pick<Config, "agents">,
  log: Log,
): void {
  const { last } = config.uids;
  const user = process.getuid?.() === 0 ? { uid: last, gid: last, groups: [] } : null;
  for (const agent of config.agents.values()) {
    if (agent.unavailable !== (given.agents.get(agent.name)?.unavailable ?? null)) continue;
    const around = { path: config.childPath, user, root: join(config.missionsDir, ".nobody") };
    const why = [...faultsOf(agent, around), ...unset(agent)].join("; ");
    if (why !== "") log.warn({ agent: agent.name, why }, "an agent cannot work as it is configured");
  }
}

/** What is missing around it, though it would start. */
function unset(agent: AgentConfig): string[] {
  const say = (key: string, names: readonly string[]) =>
    names.length === 0
      ? []
      : [`${key}: ${names.join(", ")} not set where Lazarus runs, so the agent does not get it`];
  return [...say("env", agent.unsetEnv), ...say("pass", agent.unsetPass)];
}

function commandOf(agent: AgentConfig, root: string) {
  const at = (name: string) => join(root, name);
  return agentCommand(agent, {
    ...{ briefPath: at("brief.md"), briefText: "", worktree: at("worktree"), artifacts: at("artifacts") },
    ...{ home: at("home"), session: { id: crypto.randomUUID(), isNew: true } },
    ...{ isIsolated: true, budgetUsd: null },
  });
}

/** Runs `PROGRAM --version`, without the agent's keys and without a network. */
async function versionOf(agent: AgentConfig, backend: Backend, scene: Scene): Promise<Finding> {
  const what = `agent ${agent.name}`;
  // Without its keys.
  const launch = commandOf({ ...agent, env: {} }, join(scene.root, "cell"));
  const [program = ""] = launch.command;
  // A program that nobody knows might begin to work, and a plain process may reach everything.
  if (agent.preset === null && agent.backend === "process")
    return finding("ok", what, `${program} is there; its version is not asked for outside of a sandbox`);
  const names = ["brief.md", "artifacts", "home"].map((name) => join(scene.root, "cell", name));
  const [briefPath = "", artifacts = "", home = ""] = names;
  const env = agentEnvironment(
    baseEnvironment({
      ...{ cellId: "doctor", agentName: agent.name, role: "executor", briefPath, artifacts, home },
      ...{ path: scene.config.childPath, missionPath: briefPath },
      git: { name: null, email: null, keyPath: null },
    }),
    launch.env,
  );
  const spec = childOn(scene, [program, "--version"], {
    ...{ env, paths: agent.paths, image: agent.image, timeoutMs: VERSION_MS },
  });
  rmSync(spec.stdoutPath, { force: true });
  const end = await backend.runToEnd(spec);
  const said = firstLine(readFileSync(spec.stdoutPath, "utf8")) || firstLine(end.stderr);
  const ran = `${program} --version, run in its ${agent.backend}`;
  if (end.timedOut) return finding("warn", what, `${ran}, did not end within ${VERSION_MS / 1_000} s`);
  // A command that nobody knows, and the demo's shell, need have no version; that it began is what counts.
  const isFine = !hasModel(agent) && end.code !== null && !NEVER_BEGAN.includes(end.code);
  if (end.code !== 0 && isFine)
    return finding("ok", what, `${program} starts in its ${agent.backend}, and says no version`);
  if (end.code !== 0) {
    const how = end.code === null ? `was ended by ${end.signal}` : `ended with exit ${end.code}`;
    return finding("warn", what, `${ran}, ${how}${said === "" ? "" : `: ${said}`}. Try it by hand`);
  }
  return finding("ok", what, `${program}: ${said === "" ? "no version" : said}, in its ${agent.backend}`);
}

function firstLine(text: string): string {
  const line = text.split("\n").find((one) => one.trim() !== "") ?? "";
  return plain(line).trim().slice(0, WIDEST_VERSION);
}

/** Of an agent that is known: all but the demo are a vendor's program, with a version and a model. */
function hasModel(agent: AgentConfig): boolean {
  return agent.preset !== null && agent.preset !== "demo";
}

/** What of its network cannot be used now, or never. */
async function aboutNetwork(agent: AgentConfig): Promise<string[]> {
  if (agent.backend === "process") return [];
  if (agent.network === "none" && hasModel(agent))
    return ["network: none, so it reaches no model: list the model's host (docs/network.md)"];
  if (typeof agent.network === "string") return [];
  const said = await Promise.all(agent.network.map(aboutEntry));
  return said.flatMap((one) => (one === null ? [] : [`network: ${one}`]));
}

async function aboutEntry(entry: string): Promise<string | null> {
  if (entry.startsWith("*.")) return null;
  const target = parseEndpoint(entry);
  const host = target?.host ?? entry;
  const isHere = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  if (target !== null && isHere) {
    const isThere = await listens(target.host, target.port);
    return isThere ? null : `nobody listens at ${entry} now: start the model that should`;
  }
  if (isIP(host) !== 0) return null;
  const addresses = await within(RESOLVE_MS, lookup(host, { all: true }));
  if (addresses === null || addresses.length === 0) {
    const hint = host === "host.docker.internal" ? ": write 127.0.0.1:PORT, which leads to this machine" : "";
    return `${host} has no address here${hint}`;
  }
  const isPrivate = addresses.every(({ address }) => !isPublicAddress(address));
  return isPrivate && target === null
    ? `${host} leads into a private network, which is refused: list it with its port`
    : null;
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: RESOLVE_MS });
    const end = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("timeout", () => end(false));
  });
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  return Promise.race([promise.catch(() => null), late]).finally(() => clearTimeout(timer));
}
