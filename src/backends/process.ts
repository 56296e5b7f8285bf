import { accessSync, constants } from "node:fs";
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
import { runChild } from "./os/child.ts";
import { resolveCommand } from "./os/executable.ts";
import { type CellGroups, noGroups } from "./os/groups/cell-groups.ts";
import { endProcesses, type Quarry } from "./os/kill.ts";
import { bootId, isAlive, readStat, toInfo } from "./os/proc.ts";
import { processesOf } from "./os/scan.ts";
import { execText } from "./os/shell-text.ts";
import { childScript, shellNoise, shimLimits } from "./os/shim.ts";
import { startRun } from "./os/spawn.ts";
import { readExitFile, writeKilled } from "./os/state-files.ts";
import { killLeader, killUser, strikes } from "./os/strike.ts";
import { asUser } from "./os/user.ts";

const NOTE =
  "agents run with Lazarus' own rights: each can read what Lazarus can, its token too; " +
  "the network is not limited, nor the number of processes";
const NOTE_AS_ROOT =
  "each cell runs as a user of its own (uids): it reads what everybody on this machine may read, and nothing of Lazarus; " +
  "the network is not limited";

/**
 * Agents as plain processes: a session and group of their own, an environment of their own, limits, nothing
 * more (safety.md, degrees of isolation). What leaves its session, clears its environment and loses its
 * parent can no longer be told from other processes, unless the cell has a user of its own.
 */
export function processBackend(clock: Clock = systemClock, groups: CellGroups = noGroups()): Backend {
  return {
    name: "process",
    check: async () => checkHost(),
    start: async (spec) => {
      const command = execText(asUser(spec.user, resolveCommand(spec.agent, spec.command, spec)));
      const limits = shimLimits(spec.limits, spec.user !== null);
      return startRun({ backend: "process", spec, command, limits, enter: groups.enter(spec), clock });
    },
    observe: async (handle) => observeRun(handle),
    stop: (handle, graceMs) => stopRun(handle, graceMs, { clock, groups }),
    leftovers: async (cellId, handle) => leftoversOf(cellId, handle, groups),
    runToEnd: (spec) => groups.during(spec, (enter) => runToEnd(spec, enter)),
  };
}

function checkHost(): BackendCheck {
  try {
    accessSync("/bin/sh", constants.X_OK);
    if (bootId() !== "" && readStat(process.pid) !== null)
      return { ok: true, note: process.getuid?.() === 0 ? NOTE_AS_ROOT : NOTE };
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

/**
 * Whatever lives of a cell: of its session or control group, with its name in the environment, or of its own
 * user.
 */
export async function leftoversOf(
  cellId: string,
  handle: Handle | null,
  groups: CellGroups = noGroups(),
): Promise<ProcessInfo[]> {
  const grouped = groups.members(cellId);
  const found = await processesOf({ cellId, leader: handle, byMarker: true, uid: handle?.uid, grouped });
  return found.map(toInfo);
}

/** Ends everything a run started and sees to it that there is an exit record. */
export async function stopRun(
  handle: Handle,
  graceMs: number,
  how: { readonly clock: Clock; readonly groups: CellGroups } & Pick<Quarry, "isAsked" | "strike">,
): Promise<ProcessInfo[]> {
  const { cellId, uid } = handle;
  const find = () =>
    processesOf({ cellId, leader: handle, byMarker: true, uid, grouped: how.groups.members(cellId) });
  const strike = strikes(
    async () => {
      killLeader(handle);
      how.groups.kill(cellId);
    },
    how.strike ?? (async () => {}),
    () => killUser(uid ?? 0),
  );
  const left = await endProcesses({ ...how, find, strike }, graceMs);
  if (observeRun(handle).kind === "gone") writeKilled(handle.stateDir, handle.run, how.clock.now());
  return left.map(toInfo);
}

function runToEnd(spec: ChildSpec, enter: string): Promise<ChildEnd> {
  const command = resolveCommand(spec.command[0] ?? "a command", spec.command, spec);
  const limits = shimLimits(spec.limits, spec.user !== null);
  const { text, data } = execText(asUser(spec.user, command));
  const script = { text: childScript({ limits, enter, unset: shellNoise(spec.env) }, text), data };
  return runChild({ spec, script, tellsLeader: false });
}
