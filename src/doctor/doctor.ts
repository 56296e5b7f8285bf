import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Backend } from "../backends/backend.ts";
import { probeContainer } from "../backends/container/probe.ts";
import type { CellGroups } from "../backends/os/groups/cell-groups.ts";
import { findGroups } from "../backends/os/groups/find-groups.ts";
import type { Config } from "../config/config.ts";
import { ConfigFault } from "../config/config-fault.ts";
import { explain } from "../errors.ts";
import { createBackends, settleBackends } from "../isolation.ts";
import { createRedactor } from "../redact.ts";
import { prepareRoot } from "../runner/disk/directory.ts";
import { openDb } from "../store/db.ts";
import { prepareDataDir } from "../store/lock.ts";
import { examineAgents } from "./agents.ts";
import { tryToGetOut } from "./attack.ts";
import { examineConnected } from "./connected.ts";
import { examineDisk } from "./disk.ts";
import { type Finding, finding } from "./finding.ts";
import { examineModes } from "./modes.ts";
import { examineRedis } from "./redis.ts";
import { examineRegistry } from "./registry.ts";
import { examineSeals } from "./seals.ts";

const OLDEST_NODE = [20, 19] as const;
/** The first that takes its configuration from the environment, which keeps tokens off command lines. */
const OLDEST_GIT = [2, 31] as const;

/**
 * Looks at this machine, the configuration, the forge and the backends, and lets an agent try to read what is
 * not its own. Changes nothing but what `serve` would make too: the directories of data and missions.
 * @param load reads the configuration; what it throws is a finding.
 */
export async function examine(load: () => Config): Promise<Finding[]> {
  // Nothing else does while a call to the forge waits for its next try: the program would end without a word.
  const alive = setInterval(() => {}, 1_000);
  try {
    return await examineAll(load);
  } finally {
    clearInterval(alive);
  }
}

async function examineAll(load: () => Config): Promise<Finding[]> {
  const machine = [examineNode(), await examineGit(), examineSqlite()];
  const config = loaded(load);
  if (!("dataDir" in config)) return [...machine, ...config];
  const isThere = await examineDirectories(config);
  const findings = [
    ...machine,
    finding("ok", "configuration", config.file ?? "from the environment alone"),
    ...config.notices.map((notice) => finding("warn", "configuration", notice)),
    ...isThere,
    ...(await examineDisk(config)),
    ...examineModes(config.file, config.dataDir),
    ...examineRegistry(config),
    ...(await examineRedis(config)),
    ...(await examineSeals(config)),
    ...(await examineConnected(config)),
    ...(await examineBackends(config, isThere)),
  ];
  const { redact } = createRedactor(config.secrets);
  return findings.map((one) => ({ ...one, detail: redact(one.detail) }));
}

function loaded(load: () => Config): Config | Finding[] {
  try {
    return load();
  } catch (error) {
    const faults = error instanceof ConfigFault ? error.faults : [explain(error)];
    return faults.map((fault) => finding("FAIL", "configuration", fault));
  }
}

type Version = readonly [number, number];

function isOlder([major, minor]: Version, oldest: Version): boolean {
  return major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
}

function versionIn(text: string): Version {
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(text) ?? [];
  return [Number(major), Number(minor)];
}

function examineNode(): Finding {
  const isOld = isOlder(versionIn(process.versions.node), OLDEST_NODE);
  const said = process.versions.node + (isOld ? `; ${OLDEST_NODE.join(".")} or newer is needed` : "");
  return finding(isOld ? "FAIL" : "ok", "node", said);
}

async function examineGit(): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)("git", ["version"]);
    const said = stdout.trim().replace(/^git version /, "");
    return isOlder(versionIn(said), OLDEST_GIT)
      ? finding("FAIL", "git", `${said}; ${OLDEST_GIT.join(".")} or newer is needed`)
      : finding("ok", "git", said);
  } catch (error) {
    return finding("FAIL", "git", `it cannot be run (${explain(error)}): install it`);
  }
}

function examineSqlite(): Finding {
  try {
    openDb(":memory:").close();
    return finding("ok", "better-sqlite3", "opens a database");
  } catch (error) {
    return finding(
      "FAIL",
      "better-sqlite3",
      `${explain(error)}; run bash scripts/setup in a checkout, else npm rebuild better-sqlite3 where it was installed`,
    );
  }
}

async function examineDirectories({ dataDir, missionsDir, limits }: Config): Promise<Finding[]> {
  const tried: [what: string, dir: string, make: () => unknown][] = [
    ["data", dataDir, () => prepareDataDir(dataDir)],
    ["missions", missionsDir, () => prepareRoot(missionsDir, limits.freeBytes)],
  ];
  const findings: Finding[] = [];
  for (const [what, dir, make] of tried) {
    try {
      await make();
      findings.push(finding("ok", what, `${dir} is there, with enough space`));
    } catch (error) {
      findings.push(finding("FAIL", what, explain(error)));
    }
  }
  return findings;
}

async function examineBackends(config: Config, directories: readonly Finding[]): Promise<Finding[]> {
  const groups = await findGroups(config.dataDir);
  const backends = createBackends(config, groups);
  const { agents, notices } = await settleBackends(config, backends);
  const findings = [aboutGroups(groups), ...notices.map((notice) => finding("warn", "agents", notice))];
  for (const backend of backends.values()) findings.push(await examineBackend(backend, config));
  findings.push(...(await examineImages(config)));
  if (directories.some((one) => one.level === "FAIL")) return findings;
  findings.push(...(await examineAgents(agents, backends, config)));
  for (const name of new Set([...agents.values()].map((agent) => agent.backend))) {
    const backend = backends.get(name);
    // What a container shows is in its image; whether it starts was found out above.
    if (backend === undefined || name === "container" || !(await backend.check()).ok) continue;
    findings.push(...(await tryToGetOut(backend, config)));
  }
  // What is said of the machine at each agent is said once.
  return [...new Map(findings.map((one) => [JSON.stringify(one), one])).values()];
}

function aboutGroups({ check }: CellGroups): Finding {
  return check.ok
    ? finding("ok", "control groups", check.note)
    : finding("warn", "control groups", `${check.why}; ${check.fix}`);
}

async function examineBackend(backend: Backend, config: Config): Promise<Finding> {
  const check = await backend.check();
  if (check.ok) return finding("ok", `backend ${backend.name}`, check.note);
  const isNeeded = [...config.agents.values()].some((agent) => agent.backend === backend.name);
  return finding(isNeeded ? "FAIL" : "warn", `backend ${backend.name}`, `${check.why}; ${check.fix}`);
}

async function examineImages(config: Config): Promise<Finding[]> {
  const images = [...config.agents.values()].flatMap((agent) =>
    agent.backend === "container" && agent.image !== null ? [agent.image] : [],
  );
  const engine = { ...config.container, env: config.engineEnv };
  const findings: Finding[] = [];
  for (const image of new Set(images)) {
    const probe = await probeContainer(engine, image);
    const what = `image ${image}`;
    if (!probe.ok) findings.push(finding("FAIL", what, probe.why));
    else if (probe.args.join(" ") === config.container.args.join(" "))
      findings.push(finding("ok", what, probe.note));
    else
      findings.push(
        finding(
          "FAIL",
          what,
          `it only runs with container: {args: ${JSON.stringify(probe.args)}}; ${probe.note}`,
        ),
      );
  }
  return findings;
}
