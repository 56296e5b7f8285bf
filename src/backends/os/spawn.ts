import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { type Clock, toIso } from "../../clock.ts";
import { LazarusError, systemCode } from "../../errors.ts";
import type { BackendName, Handle, RunSpec, Surroundings } from "../backend.ts";
import { argumentsOf, bootId, type Identity, inheritedFds, isAlive, marksOf, readStat } from "./proc.ts";
import { openUnnamed, SCRIPT_FD, type ShellText } from "./shell-text.ts";
import { shellNoise, shimScript } from "./shim.ts";
import { readExitFile, readLock, readRunFile } from "./state-files.ts";

const LOCK_POLL_MS = 1;
const LOCK_WAIT_MS = 5_000;
const SHELL = "/bin/sh";
const HIGHEST_PLUG = 4_095;
const SHIM_NAME = "lazarus-shim";

type Stream = "ignore" | "pipe" | number;

export interface Launch {
  readonly backend: BackendName;
  readonly spec: RunSpec;
  /** What the shim runs: `spec.command`, resolved, or something around it. */
  readonly command: ShellText;
  /** In the words of the shim. */
  readonly limits: string;
  /** Shell lines by which it enters its control group. */
  readonly enter: string;
  readonly clock: Clock;
}

/**
 * Starts the shim of a run, or finds what an earlier start of the same run left: the living shim, its end, or
 * nothing (a handle with pid 0, which is seen as gone).
 * @throws LazarusError `backend` when the shim could not be started or could not write; `internal` for an
 * environment without the cell's marker.
 */
export async function startRun(launch: Launch): Promise<Handle> {
  const { spec } = launch;
  const what = `starting ${spec.agent} in cell ${spec.cellId} (run ${spec.run})`;
  if (spec.env.LAZARUS_CELL !== spec.cellId) {
    throw new LazarusError("internal", `${what}: its environment does not name the cell`);
  }
  if (readLock(spec.stateDir, spec.run) !== undefined) return findRun(launch);

  const startedAt = launch.clock.now();
  const { child, identity } = await spawnShim(launch, startedAt).catch((cause: unknown) => {
    throw backendError(what, cause);
  });
  if (!(await tookLock(child, spec, what))) return findRun(launch);
  return toHandle(launch, identity, startedAt);
}

/** Files are opened by us and only for us: no link is followed, nothing but a regular file is taken. */
export function openRegular(path: string, flags: number): number {
  const fd = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`${path} is not a regular file`);
}

/** What a shell is started with. */
export interface Spawn {
  /** A whole script, and what it reads. */
  readonly script: ShellText;
  /** Words after it, for people who list processes, and for us. */
  readonly words: readonly string[];
  readonly where: Pick<Surroundings, "dirs" | "env">;
  /** Where only we may write: script and data are made there, without a name. */
  readonly ownDir: string;
  readonly stdio: readonly [Stream, Stream, Stream];
  /** Whether descriptor 3 is a pipe to us. */
  readonly isTold?: boolean;
}

/**
 * A shell with a script, in a session and group of its own, and its identity. It is read in the turn of the
 * spawn: until the next one a child that has already ended cannot have been reaped.
 */
export async function spawnShell(plan: Spawn): Promise<{ child: ChildProcess; identity: Identity }> {
  const { script, words, where, ownDir, stdio } = plan;
  const opened: number[] = [];
  let child: ChildProcess;
  try {
    const nothing = openSync(devNull, constants.O_RDWR);
    opened.push(nothing);
    for (const text of [script.text, ...script.data]) opened.push(openUnnamed(ownDir, text));
    const given: Stream[] = [...stdio, plan.isTold === true ? "pipe" : "ignore", ...opened.slice(1)];
    child = spawn(SHELL, [`/proc/self/fd/${SCRIPT_FD}`, ...words], {
      cwd: where.dirs.worktree,
      env: { ...where.env },
      detached: true,
      stdio: [...given, ...plugs(nothing).slice(given.length - 3)],
    });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise((resolve) => child.once("error", resolve));
    // Node blames the shell, which is there: what is missing is the directory to run it in.
    if (systemCode(cause) === "ENOENT") throw new Error(`there is no ${where.dirs.worktree}`, { cause });
    throw cause;
  }
  const startTicks = readStat(pid)?.startTicks ?? 0;
  return { child, identity: { pid, startTicks, bootId: bootId() } };
}

/**
 * Whoever started Lazarus may have left files open to it that pass through to agents: a pipe somebody waits
 * at the end of, say. Node keeps back the first sixteen; the others it cannot close in a child, but put
 * something harmless in their place.
 */
function plugs(nothing: number): Stream[] {
  const stray = inheritedFds().filter((fd) => fd >= 3 && fd <= HIGHEST_PLUG);
  const plugged: Stream[] = Array.from({ length: Math.max(2, ...stray) - 2 }, () => "ignore");
  for (const fd of stray) plugged[fd - 3] = nothing;
  return plugged;
}

/** What we could not do, told apart by whether it may work later. */
export function backendError(what: string, cause: unknown): LazarusError {
  if (cause instanceof LazarusError)
    return new LazarusError(cause.code, what, { retryable: cause.retryable, cause });
  const code = systemCode(cause);
  if (code === "ENOSPC" || code === "EDQUOT")
    return new LazarusError("disk-full", what, { retryable: true, cause });
  const passing = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "EIO"].includes(code ?? "");
  return new LazarusError("backend", what, { retryable: passing, cause });
}

async function spawnShim(
  launch: Launch,
  startedAt: number,
): Promise<{ child: ChildProcess; identity: Identity }> {
  const { spec } = launch;
  const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT } = constants;
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const fd = openRegular(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    const input = spec.stdinPath === null ? "ignore" : open(spec.stdinPath, O_RDONLY);
    const log = open(spec.logPath, O_WRONLY | O_APPEND | O_CREAT);
    const started = await spawnShell({
      script: { text: shimText(launch, startedAt), data: launch.command.data },
      words: [SHIM_NAME, spec.stateDir, String(spec.run)],
      where: spec,
      ownDir: spec.stateDir,
      stdio: [input, log, log],
    });
    started.child.unref();
    return started;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function shimText({ spec, command, limits, enter }: Launch, startedAt: number): string {
  const facts = { cell: spec.cellId, run: spec.run, agent: spec.agent };
  const first = Object.entries(facts).map(([key, value]) => `  "${key}": ${JSON.stringify(value)}`);
  const written = {
    stateDir: spec.stateDir,
    run: spec.run,
    first: first.join(",\n"),
    last: `  "started_at": "${toIso(startedAt)}"`,
  };
  return shimScript({ ...written, limits, enter, unset: shellNoise(spec.env) }, command.text);
}

/** Whether the shim we spawned is the one that has the run. */
async function tookLock(child: ChildProcess, spec: RunSpec, what: string): Promise<boolean> {
  const deadline = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    // Asked in this order: a shim that has ended wrote its lock before.
    const ended = child.exitCode !== null || child.signalCode !== null;
    const owner = readLock(spec.stateDir, spec.run);
    if (owner === child.pid) return true;
    if (typeof owner === "number") return false;
    if (ended && owner === null) return false;
    if (ended) {
      const why = `its parent shell could not write ${spec.stateDir} (exit code ${child.exitCode ?? child.signalCode}), see ${spec.logPath}`;
      throw new LazarusError("backend", `${what}: ${why}`, { retryable: true });
    }
    if (performance.now() > deadline) {
      throw new LazarusError("backend", `${what}: its parent shell did not begin`, { retryable: true });
    }
    await pause(LOCK_POLL_MS);
  }
}

/** Somebody took the run before: whoever it was, dead or alive. */
async function findRun(launch: Launch): Promise<Handle> {
  const { stateDir, run } = launch.spec;
  const deadline = performance.now() + LOCK_WAIT_MS;
  let alive = livingShim(launch);
  // The lock is there an instant before it names its owner, unless the owner was killed right then.
  while (alive === null && readLock(stateDir, run) === null && readExitFile(stateDir, run) === null) {
    if (performance.now() > deadline) break;
    await pause(LOCK_POLL_MS);
    alive = livingShim(launch);
  }
  const file = readRunFile(stateDir, run);
  const startedAt = file?.started_at ?? launch.clock.now();
  if (alive !== null) return toHandle(launch, alive, startedAt);
  const dead = file && { pid: file.pid, startTicks: file.start_ticks, bootId: file.boot_id };
  // The file may name a living process only if that is the shim: it could have been written by an agent, for
  // us to kill something else.
  if (dead === null || isAlive(dead))
    return toHandle(launch, { pid: 0, startTicks: 0, bootId: bootId() }, startedAt);
  return toHandle(launch, dead, startedAt);
}

/** The shim that the lock names, if /proc agrees: files in the cell only say where to look. */
function livingShim({ spec }: Launch): Identity | null {
  const pid = readLock(spec.stateDir, spec.run);
  if (typeof pid !== "number") return null;
  const stat = readStat(pid);
  if (stat === null || stat.session !== pid || !marksOf(pid).includes(spec.cellId)) return null;
  // After the script; one word later where an earlier version started it, which had the script itself there.
  const words = argumentsOf(pid).slice(2);
  const [name, stateDir, run] = words[0] === SHIM_NAME ? words : words.slice(1);
  if (name !== SHIM_NAME || stateDir !== spec.stateDir || run !== String(spec.run)) return null;
  const identity = { pid, startTicks: stat.startTicks, bootId: bootId() };
  return isAlive(identity) ? identity : null;
}

function toHandle({ backend, spec }: Launch, identity: Identity, startedAt: number): Handle {
  const { cellId, run, stateDir } = spec;
  return { backend, cellId, run, ...identity, stateDir, startedAt, uid: spec.user?.uid ?? null };
}
