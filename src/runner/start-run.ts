import { dirname, join } from "node:path";
import { agentCommand, agentEnvironment, briefBy, fitsArgument } from "../backends/agents.ts";
import type { Backend, Handle, RunSpec } from "../backends/backend.ts";
import { resolveCommand } from "../backends/os/executable.ts";
import { readLock } from "../backends/os/state-files.ts";
import type { HomeFile, LaunchContext, Session } from "../backends/presets.ts";
import { logNameOf } from "../cells/names.ts";
import type { AgentConfig } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { JobPayload } from "../protocol/jobs.ts";
import type { GivenPrompt } from "../protocol/shapes.ts";
import { packetFileOf } from "./collect/packet.ts";
import { answersFileOf } from "./collect/point-answers.ts";
import { type PlannedCommand, plannedSetup } from "./commands/planned-commands.ts";
import { surroundingsOf } from "./confinement.ts";
import type { Parts } from "./context.ts";
import { type CellPaths, pathsOf, whatIs, writeFileInside } from "./disk/directory.ts";
import { openWork } from "./disk/guest-room.ts";
import { ensureHome, openOneHome, SETUP_HOME } from "./disk/home.ts";
import { checkPassable, lendCell } from "./disk/owner.ts";
import { keepPrompt, promptFileOf } from "./disk/prompt-file.ts";
import { inDirectory, readInside } from "./disk/safe-files.ts";
import { findSession } from "./disk/session.ts";
import { lendSigningKey, signingKeyIn } from "./disk/signing-key.ts";
import type { Gates } from "./gates.ts";
import type { HeartbeatAccess } from "./heartbeat-tokens.ts";
import { makeCell, type WorkspaceDeps } from "./make-cell.ts";
import { promptText } from "./prompt.ts";
import { startSetup } from "./setup/start-setup.ts";
import { keepUsedBefore } from "./usage/hermes.ts";
import { prepareVisit, seenByVisitor } from "./visit.ts";

export interface StartDeps
  extends WorkspaceDeps,
    Pick<Parts, "config" | "cellDir" | "learnHome" | "quarantine" | "redact"> {
  readonly gates: Gates;
  readonly heartbeats: Pick<HeartbeatAccess, "environmentOf">;
}

/** What was started: the run itself, or, where its cell is to be set up first, that. */
export type Started =
  | { readonly kind: "run"; readonly handle: Handle; readonly prompt: GivenPrompt }
  | { readonly kind: "setup"; readonly handle: Handle; readonly plan: PlannedCommand };

export interface StartPlan {
  readonly payload: JobPayload<"start">;
  readonly agent: AgentConfig;
  readonly backend: Backend;
}

/**
 * Starts a run, making its cell first where it is not there, or the setup of that cell where it is due; every
 * step finds what an earlier attempt did.
 * @throws LazarusError `agent-missing`, `backend`, `git`, `directory`, `disk-full`, `configuration`.
 */
export async function startRunOf(deps: StartDeps, plan: StartPlan, signal: AbortSignal): Promise<Started> {
  const { cell, run } = plan.payload;
  const paths = pathsOf(join(deps.missionsDir, cell.id));
  if (cell.user !== null) {
    const mirrors = dirname(deps.mirrors.path(cell.repository));
    await checkPassable({ missions: deps.missionsDir, mirrors }, cell.user);
  }
  // Before anything is built: what cannot be started leaves nothing behind.
  const wanted = prepare(deps, plan, {
    paths,
    session: { id: cell.id, isNew: true },
    text: textOf(plan, false),
    setupHome: null,
  });
  const usable = await plan.backend.check();
  if (!usable.ok)
    throw new LazarusError(
      "backend",
      `starting ${plan.agent.name}: ${plan.backend.name} does not work here: ${usable.why}; ${usable.fix}`,
    );
  if (plan.backend.name !== "container") {
    resolveCommand(plan.agent.name, wanted.spec.command, wanted.spec);
    if (keyOf(plan) !== null) checkSigning(plan, wanted.spec);
  }

  const { backend, agent } = plan;
  await makeCell(deps, { cell, backend: backend.name, limits: toLimits(agent) }, signal);
  if ((await whatIs(paths.worktree)) !== "directory") {
    throw new LazarusError(
      "directory",
      `starting run ${run} of cell ${cell.id}: its worktree is gone, or a link`,
    );
  }
  const isVisitor = plan.payload.role === "observer";
  const isBegun = readLock(paths.state, run) !== undefined;
  // An observer before it may have been the last that was here.
  if (cell.user !== null && !isBegun) await openWork(paths, cell.user);
  if (isVisitor) await prepareVisit(deps, { cell, run, agent, backend, paths });
  await ensureBrief(paths, cell.brief);
  deps.learnHome(agent.homeTemplate);
  await ensureHome(paths, {
    agent: agent.name,
    template: agent.homeTemplate,
    directories: wanted.directories,
    files: wanted.files.map(({ path, fill }) => ({ path, fill: (text) => fill(text, wanted.spec.env) })),
    owner: cell.user === null ? null : { user: cell.user, path: deps.childPath },
  });
  deps.learnHome(agent.homeTemplate);
  if (cell.user !== null) await openOneHome(paths, { agent: agent.name, user: cell.user });
  const setup = isVisitor ? null : await dueSetup(deps, plan.payload, signal);
  if (setup !== null) {
    signal.throwIfAborted();
    return {
      kind: "setup",
      plan: setup,
      handle: await startSetup(deps, { cell, run, agent, backend, plan: setup }),
    };
  }
  const session = await findSession({ cellId: cell.id, cellDir: paths.cell, run, agent });
  const text = textOf(plan, !session.isNew);
  const sha256 = await keepPrompt(paths, run, text);
  if (cell.user !== null) await lendCell(paths, cell.user);
  const keyPath = keyOf(plan);
  if (keyPath !== null) await lendSigningKey(paths, { path: keyPath, user: cell.user });
  signal.throwIfAborted();
  await deps.gates.open(cell.id, agent);
  const setupHome = await setupHomeOf(paths, plan.payload);
  const { spec } = prepare(deps, plan, { paths, session, text, setupHome });
  if (agent.preset === "hermes") await keepUsedBefore({ cellDir: paths.cell, run, agent: agent.name });
  const prompt = { sha256, isResumed: !session.isNew };
  return { kind: "run", handle: await backend.start(spec), prompt };
}

/** What signs the run's commits, if anything; an observer makes none. */
function keyOf({ agent, payload }: StartPlan): string | null {
  return payload.role === "observer" ? null : agent.git.keyPath;
}

/** What the run starts with; an agent that takes it as an argument can take no more than that. */
function textOf({ payload, agent }: StartPlan, isResumed: boolean): string {
  const { cell, run, prompt } = payload;
  const isArgument = briefBy(agent) === "argument";
  return promptText(
    { cell, run, agent: agent.name, prompt, isResumed },
    (text) => !isArgument || fitsArgument(text),
  );
}

/**
 * ssh-keygen signs only for a user whose name it can look up; the sandbox makes one up for the cell's own
 * user.
 */
function checkSigning({ agent, backend, payload }: StartPlan, spec: RunSpec): void {
  if (backend.name === "process" && payload.cell.user !== null)
    throw new LazarusError(
      "configuration",
      `starting ${agent.name}: its commits cannot be signed in process where cells have users of their own; choose backend: sandbox, or remove git.sign`,
    );
  resolveCommand("git's signing (on Debian: apt-get install openssh-client)", ["ssh-keygen"], spec);
}

/** Null where there is none, or the tree has it already. */
async function dueSetup(
  deps: StartDeps,
  { cell, setUpWith, isSetUp }: JobPayload<"start">,
  signal: AbortSignal,
): Promise<PlannedCommand | null> {
  if (isSetUp === true) return null;
  const setup = await plannedSetup(deps, cell, signal);
  return setup?.digest === (setUpWith ?? undefined) ? null : setup;
}

/** Where the setup of the tree kept its own things, which its agent may read; null where it had none. */
async function setupHomeOf(
  paths: CellPaths,
  { setUpWith, isSetUp }: JobPayload<"start">,
): Promise<string | null> {
  if (isSetUp !== true && setUpWith == null) return null;
  const home = join(paths.home, SETUP_HOME);
  return (await whatIs(home)) === "directory" ? home : null;
}

function toLimits(agent: AgentConfig): Record<string, unknown> {
  const { runMs, memoryBytes, processes, logBytes, fileBytes } = agent.limits;
  return { run_ms: runMs, memory_bytes: memoryBytes, processes, log_bytes: logBytes, file_bytes: fileBytes };
}

function prepare(
  deps: StartDeps,
  plan: StartPlan,
  at: {
    readonly paths: CellPaths;
    readonly session: Session;
    readonly text: string;
    readonly setupHome: string | null;
  },
): { spec: RunSpec; directories: string[]; files: readonly HomeFile[] } {
  const { payload, agent, backend } = plan;
  const { cell, run, role } = payload;
  const { setupHome } = at;
  const isVisitor = role === "observer";
  const paths = isVisitor ? seenByVisitor(at.paths, plan) : at.paths;
  const more = [...(setupHome === null ? [] : [setupHome]), ...(isVisitor ? [at.paths.artifacts] : [])];
  const mirror = deps.mirrors.path(cell.repository);
  const prompt = join(paths.prompts, promptFileOf(run));
  const surroundings = surroundingsOf(
    { id: cell.id, paths, mirror, user: cell.user },
    { ...agent, paths: [...agent.paths, ...more] },
    {
      role,
      path: deps.childPath,
      ...(keyOf(plan) === null ? {} : { signingKey: signingKeyIn(paths) }),
      prompt,
    },
  );
  const ofSetup = setupHome === null ? {} : { LAZARUS_SETUP_HOME: setupHome };
  const { turn = run, isAsked = false } = payload;
  const ofTurn = {
    LAZARUS_TURN: String(turn),
    ...(isVisitor
      ? {}
      : { LAZARUS_HANDOFF: join(paths.artifacts, "handoff", packetFileOf(turn, agent.name)) }),
    ...(isAsked ? { LAZARUS_ANSWERS: join(paths.artifacts, "answers", answersFileOf(turn)) } : {}),
  };
  const context: LaunchContext = {
    briefPath: prompt,
    briefText: at.text,
    worktree: paths.worktree,
    artifacts: paths.artifacts,
    home: surroundings.dirs.home,
    session: at.session,
    budgetUsd: payload.budgetUsd ?? null,
    isIsolated: backend.name !== "process" || cell.user !== null,
  };
  const launch = agentCommand(agent, context);
  const spec: RunSpec = {
    ...surroundings,
    env: agentEnvironment(
      { ...surroundings.env, ...ofSetup, ...ofTurn, ...deps.heartbeats.environmentOf(cell.id, agent) },
      launch.env,
    ),
    run,
    agent: agent.name,
    command: launch.command,
    stdinPath: launch.stdin ? prompt : null,
    logPath: join(paths.logs, logNameOf(agent.name, run)),
    stateDir: paths.state,
  };
  return { spec, directories: launch.directories, files: launch.files };
}

/** The agent reads what was pinned, also where an earlier run changed the file. */
async function ensureBrief(paths: CellPaths, brief: string): Promise<void> {
  const maxBytes = Buffer.byteLength(brief) + 1;
  const there = await inDirectory(paths.cell, ["config"], (directory) =>
    readInside(directory, "brief.md", { end: "start", maxBytes }),
  );
  if (there?.text !== brief) await writeFileInside(paths.cell, ["config"], "brief.md", brief);
}
