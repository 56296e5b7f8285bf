import { accessSync, closeSync, constants } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Clock, systemClock } from "../clock.ts";
import type {
  Backend,
  BackendCheck,
  ChildEnd,
  ChildSpec,
  Handle,
  Observation,
  ProcessInfo,
} from "./backend.ts";
import { resolveCommand } from "./executable.ts";
import { endProcesses } from "./kill.ts";
import { bootId, isAlive, processesOf, readStat, toInfo } from "./proc.ts";
import { CHILD_SHIM, shellNoise, shimLimits } from "./shim.ts";
import { backendError, openRegular, spawnShell, startRun } from "./spawn.ts";
import { readExitFile, writeKilled } from "./state-files.ts";

const NOTE =
  "agents run with Lazarus' own rights: each can read what Lazarus can, its token too; " +
  "the network is not limited, nor the number of processes";
const PIPE_DRAIN_MS = 1_000;

/**
 * Agents as plain processes: a session and group of their own, an environment of their own, limits, nothing more (safety.md, degrees of
 * isolation). What leaves its session, clears its environment and loses its parent can no longer be told from other processes.
 */
export function processBackend(clock: Clock = systemClock): Backend {
  return {
    name: "process",
    check: async () => checkHost(),
    start: async (spec) => {
      const command = resolveCommand(spec.agent, spec.command, spec);
      return startRun({ backend: "process", spec, command, clock });
    },
    observe: async (handle) => observeRun(handle),
    stop: (handle, graceMs) => stopRun(handle, graceMs, clock),
    leftovers: async (cellId, handle) => processesOf({ cellId, leader: handle, byMarker: true }).map(toInfo),
    runToEnd,
  };
}

function checkHost(): BackendCheck {
  try {
    accessSync("/bin/sh", constants.X_OK);
    if (bootId() !== "" && readStat(process.pid) !== null) return { ok: true, note: NOTE };
  } catch {
    // Said below.
  }
  return {
    ok: false,
    why: "there is no /bin/sh, or /proc does not show processes as Linux does",
    fix: "run Lazarus on Linux with /proc mounted",
  };
}

/** What is known of a run: its shim in /proc, then its exit record. */
export function observeRun(handle: Handle): Observation {
  if (isAlive(handle)) return { kind: "alive" };
  // Read after the process was seen dead: the shim writes before it ends.
  const end = readExitFile(handle.stateDir, handle.run);
  if (end === null) return { kind: "gone" };
  return { kind: "exited", code: end.code, signal: end.signal, endedAt: end.ended_at };
}

/** Ends everything a run started and sees to it that there is an exit record. */
export async function stopRun(handle: Handle, graceMs: number, clock: Clock): Promise<ProcessInfo[]> {
  const left = await endProcesses(
    () => processesOf({ cellId: handle.cellId, leader: handle, byMarker: true }),
    graceMs,
  );
  if (observeRun(handle).kind === "gone") writeKilled(handle.stateDir, handle.run, clock.now());
  return left.map(toInfo);
}

async function runToEnd(spec: ChildSpec): Promise<ChildEnd> {
  const what = `running ${spec.command[0] ?? "nothing"} in cell ${spec.cellId}`;
  const command = resolveCommand(spec.command[0] ?? "a command", spec.command, spec);
  const words = [CHILD_SHIM, "lazarus-child", shimLimits(spec.limits), shellNoise(spec.env), ...command];
  let output: number | null = null;
  try {
    output = openRegular(spec.stdoutPath, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    return await waitForEnd(spec, await spawnShell(words, spec, ["ignore", output, "pipe"]));
  } catch (cause) {
    throw backendError(what, cause);
  } finally {
    if (output !== null) closeSync(output);
  }
}

type Spawned = Awaited<ReturnType<typeof spawnShell>>;

async function waitForEnd(spec: ChildSpec, { child, identity }: Spawned): Promise<ChildEnd> {
  const chunks: Buffer[] = [];
  let room = spec.stderrBytes;
  child.stderr?.on("data", (chunk: Buffer) => {
    // Read on when there is no room: a full pipe would stop the child.
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  });
  const closed = new Promise<void>((resolve) => child.stderr?.once("close", resolve));
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal: signal?.replace(/^SIG/, "") ?? null }));
  });

  // Its own session only: the cell's marker is borne by whatever else runs there.
  const end = () =>
    endProcesses(() => processesOf({ cellId: spec.cellId, leader: identity, byMarker: false }), 0);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    void end();
  }, spec.timeoutMs);
  const result = await exited;
  clearTimeout(timer);
  await end();
  await Promise.race([closed, pause(PIPE_DRAIN_MS, undefined, { ref: false })]);
  child.stderr?.destroy();
  return { ...result, timedOut, stderr: Buffer.concat(chunks).toString("utf8") };
}
