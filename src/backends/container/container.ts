import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Clock, systemClock } from "../../clock.ts";
import { LazarusError } from "../../errors.ts";
import type { Backend, BackendCheck, Handle, ProcessInfo, RunSpec, Surroundings } from "../backend.ts";
import { endProcesses } from "../os/kill.ts";
import { processesOf } from "../os/scan.ts";
import { execText } from "../os/shell-text.ts";
import { backendError, startRun } from "../os/spawn.ts";
import { readLock, writeKilled } from "../os/state-files.ts";
import { leftoversOf, observeRun } from "../process.ts";
import { containerArguments, type EngineFacts, unspeakable } from "./args.ts";
import { runContainerToEnd } from "./child.ts";
import { ask, askToEnd, containersOf, type Engine, factsOf, lastLine, removeContainers } from "./engine.ts";
import { LOOK, LOOKED } from "./scripts.ts";

const POLL_MS = 100;
const ASK_MS = 5_000;
const LOOK_MS = 60_000;
/** Of the engine's client, in the words of the shim: the agent's own are the container's. */
const CLIENT_LIMITS = "c:0";

export interface ContainerOptions extends Engine {
  /** Lazarus' own PATH: an agent that was given no other gets the image's. */
  readonly hostPath: string | null;
  readonly clock?: Clock;
}

/**
 * Agents in containers of podman or docker, by their command lines. The shim's foreground child is the
 * engine's client; the container itself is found by its label, also when shim and client were killed. As root
 * without a user for the cell, the agent is who owns the worktree: where that is root, root without any
 * capability.
 */
export function containerBackend(options: ContainerOptions): Backend {
  const { clock = systemClock } = options;
  const engine = withPath(options);
  let known: Promise<EngineFacts> | null = null;
  const facts = () => {
    known ??= knownFacts(engine).catch((cause: unknown) => {
      known = null;
      throw cause;
    });
    return known;
  };
  const launch: Launcher = { engine, hostPath: options.hostPath, facts };
  return {
    name: "container",
    check: () => checkEngine(engine),
    start: (spec) => start(launch, spec, clock),
    observe: async (handle) => observeRun(handle),
    stop: (handle, graceMs) => stop(engine, { handle, graceMs, clock }),
    leftovers: (cellId, handle) => leftovers(engine, cellId, handle),
    runToEnd: async (spec) => {
      const what = `running ${spec.command[0] ?? "nothing"} in a container for cell ${spec.cellId}`;
      const run = `child-${crypto.randomUUID()}`;
      try {
        const made = await prepare(launch, spec, { run, command: spec.command, interactive: false });
        const ended = await runContainerToEnd({ engine, spec, run, ...made });
        if (ended.code !== ENGINE_FAILED) return ended;
        throw await engineFault(engine, spec, ended.stderr);
      } catch (cause) {
        throw cause instanceof LazarusError ? cause : backendError(what, cause);
      }
    },
  };
}

/** What podman and docker exit with when it is they that failed. */
const ENGINE_FAILED = 125;

interface Launcher {
  readonly engine: Engine;
  readonly hostPath: string | null;
  readonly facts: () => Promise<EngineFacts>;
}

async function knownFacts(engine: Engine): Promise<EngineFacts> {
  const facts = await factsOf(engine);
  if ("dialect" in facts) return facts;
  throw new LazarusError("backend", `asking ${engine.engine} what it is: ${facts.why}`, { retryable: true });
}

/** Whether the engine is there and answers, and which limits it cannot hold. */
async function checkEngine(engine: Engine): Promise<BackendCheck> {
  const facts = await factsOf(engine);
  if (!("dialect" in facts)) {
    const fix = facts.absent
      ? "install it (Debian, Ubuntu: apt install podman), or name the one you have: container: {engine: docker}"
      : `see what \`${engine.engine} info\` says as the user that Lazarus runs as (docker: is its service running?)`;
    return { ok: false, why: facts.why || `${engine.engine} does not answer`, fix };
  }
  const { memory, processes, cpu } = facts.holds;
  const not = Object.entries({ memory, processes, cpu }).filter(([, holds]) => !holds);
  const limits = not.length === 0 ? "" : `; no limit of ${not.map(([name]) => name).join(", ")} here`;
  const who = facts.rootless ? "as an ordinary user" : "as root";
  return { ok: true, note: `${facts.dialect} ${facts.version}, ${who}${limits}` };
}

async function start(launch: Launcher, spec: RunSpec, clock: Clock): Promise<Handle> {
  // A run that was begun is found again, whatever its image has become.
  const begun = readLock(spec.stateDir, spec.run) !== undefined;
  const path = begun ? (spec.command[0] ?? "") : await look(launch, spec);
  const { command, env } = await prepare(launch, spec, {
    run: String(spec.run),
    command: [path, ...spec.command.slice(1)],
    interactive: spec.stdinPath !== null,
  });
  return startRun({
    backend: "container",
    spec: { ...spec, env },
    command: execText(command),
    limits: CLIENT_LIMITS,
    // The engine makes its own.
    enter: "",
    clock,
  });
}

/**
 * Looks for the agent where it will run. @throws LazarusError `agent-missing`, or `backend` when that could
 * not be done.
 */
async function look({ engine, hostPath, facts }: Launcher, spec: RunSpec): Promise<string> {
  const [name = ""] = spec.command;
  const cannot = (why: string) => new LazarusError("agent-missing", `cannot start ${spec.agent}: ${why}`);
  if (name === "") throw cannot("its command is empty");
  const word = name.includes("/") ? resolve(spec.dirs.worktree, name) : name;
  const run = `look-${crypto.randomUUID()}`;
  const command = ["/bin/sh", "-c", LOOK, "lazarus-look", word];
  const made = await prepare({ engine, hostPath, facts }, spec, { run, command, interactive: false });
  const answer = await ask({ ...engine, env: made.env }, made.command.slice(1 + engine.args.length), LOOK_MS);
  const said = answer.stdout.replace(/\n$/, "");
  switch (answer.code) {
    case LOOKED.found:
      return said;
    case LOOKED.missing:
      throw cannot(said);
    case LOOKED.noGit:
      throw cannot(
        `its image ${spec.image} has no git, which its work is taken out with: add git to the image`,
      );
    case LOOKED.noTmp:
      throw cannot(
        `its image ${spec.image} has no place for temporary files: give it a /tmp of mode 1777, and mktemp`,
      );
    case 127:
      throw cannot(`its image ${spec.image} has no /bin/sh that runs, which every agent is started by`);
    default:
      await removeContainers(engine, spec.cellId, run).catch(() => []);
      throw await engineFault(engine, spec, answer.why);
  }
}

/** Why the engine could not: most often there is no such image, which is never fetched. */
async function engineFault(engine: Engine, spec: Surroundings, said: string): Promise<LazarusError> {
  const image = spec.image ?? "";
  const [answers, has] = [await factsOf(engine), await ask(engine, ["image", "inspect", image])];
  if ("dialect" in answers && has.code !== 0 && has.code !== null) {
    const how = `load it with \`${engine.engine} load\` or \`${engine.engine} build\` as the user that Lazarus runs as`;
    return new LazarusError(
      "agent-missing",
      `there is no image ${image} on this machine (none is fetched): ${how}`,
    );
  }
  const what = `starting a container of ${image} for cell ${spec.cellId}`;
  return new LazarusError("backend", `${what}: ${lastLine(said) || "the engine did not say why"}`, {
    retryable: true,
  });
}

interface Wanted {
  readonly run: string;
  readonly command: readonly string[];
  readonly interactive: boolean;
}

async function prepare(
  { engine, hostPath, facts }: Launcher,
  spec: Surroundings,
  wanted: Wanted,
): Promise<{ command: string[]; env: Record<string, string> }> {
  const image = imageOf(spec);
  const owner = statSync(spec.dirs.worktree, { throwIfNoEntry: false });
  if (owner === undefined) throw new LazarusError("backend", `there is no ${spec.dirs.worktree}`);
  const objects = join(spec.dirs.mirror, "objects");
  const around = {
    ...spec,
    env: withoutHostPath(spec.env, hostPath),
    paths: spec.paths.filter((path) => existsSync(path)),
  };
  const made = containerArguments({
    ...wanted,
    name: `lazarus-${spec.cellId}-${wanted.run}`,
    image,
    around,
    facts: await facts(),
    user: spec.user ?? { uid: owner.uid, gid: owner.gid, groups: [] },
    hard: hardLimits(),
    objects: existsSync(objects) ? objects : null,
  });
  return { command: [engine.engine, ...engine.args, ...made.args], env: { ...engine.env, ...made.env } };
}

/** The image, when everything else is something that a container can be given. */
function imageOf(spec: Surroundings): string {
  const refuse = (code: "agent-missing" | "backend", why: string) =>
    new LazarusError(code, `cannot start a container for cell ${spec.cellId}: ${why}`);
  if (spec.image === null || spec.image === "") {
    throw refuse("agent-missing", "the agent's configuration names no image (agents.NAME.image)");
  }
  // An option would be believed.
  if (spec.image.startsWith("-")) throw refuse("agent-missing", `${spec.image} is no name of an image`);
  if (Array.isArray(spec.network)) {
    const instead = "say `network: none` or `full`, or use `backend: sandbox`";
    throw refuse("backend", `a list of hosts does not hold in containers in this version: ${instead}`);
  }
  const odd = unspeakable(spec.env);
  if (odd.length > 0) throw refuse("backend", `a shell cannot pass on the variable ${odd.join(", ")}`);
  return spec.image;
}

function withoutHostPath(env: Surroundings["env"], hostPath: string | null): Record<string, string> {
  const { PATH, ...rest } = env;
  return PATH === undefined || PATH === hostPath ? rest : { ...rest, PATH };
}

function withPath({ engine, args, env }: ContainerOptions): Engine {
  return { engine, args, env: { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", ...env } };
}

/** @see proc_pid_limits(5) */
function hardLimits(): { files: number | null; processes: number | null } {
  const text = readFileSync("/proc/self/limits", "latin1");
  const hard = (name: string) => {
    const value = new RegExp(`^${name} +\\S+ +(\\d+)`, "m").exec(text)?.[1];
    return value === undefined ? null : Number(value);
  };
  return { files: hard("Max open files"), processes: hard("Max processes") };
}

interface Stop {
  readonly handle: Handle;
  readonly graceMs: number;
  readonly clock: Clock;
}

async function stop(engine: Engine, { handle, graceMs, clock }: Stop): Promise<ProcessInfo[]> {
  const { cellId, uid } = handle;
  const asked = new Set<string>();
  // The grace begins when the agent was told, which takes an engine its time.
  let deadline = performance.now() + graceMs;
  while (performance.now() < deadline) {
    const living = await containersOf(engine, cellId);
    if (living.length === 0 && observeRun(handle).kind !== "alive") break;
    for (const one of living.filter(({ id }) => !asked.has(id))) {
      if (!(await askToEnd(engine, one, ASK_MS))) continue;
      if (asked.size === 0) deadline = performance.now() + graceMs;
      asked.add(one.id);
    }
    await pause(Math.min(POLL_MS, Math.max(0, deadline - performance.now())));
  }
  // The shim before the container: else it would write down an end that we made.
  await endProcesses({ find: () => processesOf({ cellId, leader: handle, byMarker: true, uid }) }, 0);
  await removeContainers(engine, cellId);
  if (observeRun(handle).kind === "gone") writeKilled(handle.stateDir, handle.run, clock.now());
  return leftovers(engine, cellId, handle);
}

async function leftovers(engine: Engine, cellId: string, handle: Handle | null): Promise<ProcessInfo[]> {
  const processes = await leftoversOf(cellId, handle);
  const containers = await containersOf(engine, cellId);
  // A container may live where /proc does not show it.
  return [...processes, ...containers.map(({ name }) => ({ pid: 0, command: `container ${name}` }))];
}
