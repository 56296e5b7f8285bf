import { basename, join } from "node:path";
import { type Clock, systemClock } from "../../clock.ts";
import { LazarusError } from "../../errors.ts";
import type { Backend, BackendCheck, ChildSpec, RunSpec, Surroundings } from "../backend.ts";
import { runChild } from "../os/child.ts";
import { resolveCommand } from "../os/executable.ts";
import { type CellGroups, noGroups } from "../os/groups/cell-groups.ts";
import { type IsAsked, signal } from "../os/kill.ts";
import type { ProcessStat } from "../os/proc.ts";
import { SCRIPT_FD, type ShellText } from "../os/shell-text.ts";
import { firstLines } from "../os/shim.ts";
import { startRun } from "../os/spawn.ts";
import { findTool } from "../os/tools.ts";
import { closedDirectory } from "../os/user.ts";
import { leftoversOf, observeRun, stopRun } from "../process.ts";
import type { HostLayout, SandboxPlan } from "./bwrap-args.ts";
import { checkSandbox } from "./check.ts";
import { checkBinds, checkVisible, readHost } from "./host.ts";
import { type SandboxedCommand, sandboxText } from "./scripts.ts";

/**
 * Agents in namespaces of their own, by bubblewrap: each sees the system's programs read-only, its own cell,
 * and nothing else (safety.md, degrees of isolation). The shim is bubblewrap's parent, so what ties a sandbox
 * to its parent never ties it to Lazarus; with the first process of its namespace everything in it dies.
 */
export function sandboxBackend(clock: Clock = systemClock, groups: CellGroups = noGroups()): Backend {
  let host: HostLayout | null = null;
  let checked: Promise<BackendCheck> | null = null;
  const wrap = (around: Surroundings, what: string, more: Wrapping) => {
    host ??= readHost();
    return wrapped(around, what, { ...more, host });
  };
  const inSandbox = async (spec: ChildSpec, enter: string) => {
    const { text, data } = wrap(spec, spec.command[0] ?? "a command", {
      command: spec.command,
      inputPath: null,
      options: ["--info-fd", "3"],
      gate: null,
    });
    const lines = `exec ${SCRIPT_FD}<&-\n${firstLines(enter)}\n${text}`;
    return runChild({ spec, script: { text: lines, data }, tellsLeader: true });
  };
  const runToEnd = (spec: ChildSpec) => groups.during(spec, (enter) => inSandbox(spec, enter));
  const start = async (spec: RunSpec) => {
    const inputPath = spec.stdinPath === spec.dirs.prompt ? spec.stdinPath : null;
    const gate = typeof spec.network === "string" ? null : gatePlan(spec);
    const command = wrap(spec, spec.agent, { command: spec.command, inputPath, options: [], gate });
    return startRun({
      backend: "sandbox",
      spec: inputPath === null ? spec : { ...spec, stdinPath: null },
      command,
      limits: "c:0",
      enter: groups.enter(spec),
      clock,
    });
  };
  return {
    name: "sandbox",
    // What was missing may be installed meanwhile.
    check: async () => {
      checked ??= checkSandbox(runToEnd);
      const result = await checked;
      if (!result.ok) checked = null;
      return result;
    },
    start,
    observe: async (handle) => observeRun(handle),
    stop: (handle, graceMs) => {
      const isAsked = isInside(handle.pid);
      return stopRun(handle, graceMs, { clock, groups, isAsked, strike: killFirst(handle.pid) });
    },
    leftovers: async (cellId, handle) => leftoversOf(cellId, handle, groups),
    runToEnd,
  };
}

/** Where the gate of an agent's listed hosts listens: a directory of the cell's that its sandbox sees. */
export function gateDirOf(dirs: Pick<Surroundings["dirs"], "cell" | "home">): string {
  return join(dirs.cell, "gate", basename(dirs.home));
}

type Wrapping = Pick<SandboxedCommand, "command" | "inputPath" | "options"> & Pick<SandboxPlan, "gate">;

function wrapped(around: Surroundings, what: string, how: Wrapping & { host: HostLayout }): ShellText {
  const bwrap = findTool("bwrap");
  if (bwrap === null) throw new LazarusError("backend", `starting ${what}: bubblewrap is not installed`);
  const command = resolveCommand(what, how.command, around);
  checkVisible(what, command[0] ?? "", around);
  checkBinds(`starting ${what} in cell ${around.cellId}`, around);
  const ids = around.user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const plan: SandboxPlan = { ...around, host: how.host, ids, gate: how.gate };
  return sandboxText({ ...how, bwrap, plan, around, command });
}

/** The relay runs on our own Node: no other program is sure to be there. */
function gatePlan({ dirs, user, agent }: RunSpec): { dir: string; node: string } {
  const node = process.execPath;
  const closed = user === null ? null : closedDirectory(node, user);
  if (closed !== null) {
    const why = `its relay to listed hosts needs ${node}, and uid ${user?.uid} may not enter ${closed}`;
    throw new LazarusError("backend", `starting ${agent}: ${why}: install Node where everybody can run it`);
  }
  return { dir: gateDirOf(dirs), node };
}

/**
 * Bubblewrap itself, which stays in the shim's session, is not asked to end: it would take the agent with it.
 * Nor is the first process of the namespace, its child, which would not listen.
 */
function isInside(shim: number): IsAsked {
  if (shim <= 0) return () => true;
  return (one, all) => {
    const parent = all.find((other) => other.pid === one.parent);
    return one.session !== shim && parent?.session !== shim;
  };
}

/** With the first process of a namespace the kernel kills all that is in it, whatever it forks. */
function killFirst(shim: number): (found: readonly ProcessStat[]) => Promise<void> {
  return async (found) => {
    const ours = new Set(found.filter((one) => one.session === shim).map((one) => one.pid));
    for (const one of found.filter(({ parent, session }) => ours.has(parent) && session !== shim))
      signal(one, "SIGKILL");
  };
}
