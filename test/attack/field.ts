import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Backend, CellUser, RunSpec } from "../../src/backends/backend.ts";
import { type CellGroups, noGroups } from "../../src/backends/os/groups/cell-groups.ts";
import { findGroups } from "../../src/backends/os/groups/find-groups.ts";
import { processBackend } from "../../src/backends/process.ts";
import { type Gate, openGate } from "../../src/backends/sandbox/gate.ts";
import { gateDirOf, sandboxBackend } from "../../src/backends/sandbox/sandbox.ts";
import { systemClock } from "../../src/clock.ts";
import { LazarusError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import type { Case, Degree } from "./cases.ts";
import { type Ground, layGround } from "./ground.ts";

export type Verdict = "stopped" | "not claimed" | "SUCCEEDED" | "unproven";

/** One line of the table. `unproven`: without isolation it does not work either on this machine. */
export interface Outcome {
  readonly id: string;
  readonly tries: string;
  readonly on: string;
  readonly got: string | null;
  readonly verdict: Verdict;
}

export interface Arm {
  readonly degree: Degree;
  readonly backend: Backend;
  readonly user: CellUser | null;
  /** What holds all of a cell together, where this machine has it. */
  readonly groups: CellGroups;
}

/** Nobody has these. */
const OWN: CellUser = { uid: 700_400, gid: 700_400, groups: [] };
const PATIENCE_MS = 15_000;

/** The backends that can be attacked here, and why others cannot. */
export async function armsHere(): Promise<{ arms: Arm[]; missing: string[] }> {
  const isRoot = process.getuid?.() === 0;
  const arms: Arm[] = [];
  const missing: string[] = [];
  const scratch = mkdtempSync(join(tmpdir(), "lazarus-attack-"));
  const groups = await findGroups(scratch);
  rmSync(scratch, { recursive: true });
  if (!groups.check.ok) missing.push(`control groups: ${groups.check.why}`);
  for (const backend of [processBackend(systemClock, groups), sandboxBackend(systemClock, groups)]) {
    const check = await backend.check();
    if (!check.ok) {
      missing.push(`${backend.name}: ${check.why}; ${check.fix}`);
      continue;
    }
    const name = backend.name === "process" ? "process" : "sandbox";
    arms.push({ degree: name, backend, user: null, groups });
    if (isRoot) arms.push({ degree: `${name}, own user`, backend, user: OWN, groups });
  }
  if (!isRoot) missing.push("users of their own: only root can give them");
  return { arms, missing };
}

/** Lets every case loose on containers, where an engine works; else says why not. */
export async function assaultContainers(
  cases: readonly Case[],
  works: ReadonlySet<string>,
): Promise<{ outcomes: Outcome[]; missing: string[] }> {
  // Asking the engine, and making an image for it, takes seconds: only where it is wanted.
  const { probed, testContainerBackend } = await import("../fakes/container-engine.ts");
  if (!probed.ok) return { outcomes: [], missing: [`container: ${probed.why}`] };
  const backend = testContainerBackend();
  // The groups are the engine's own.
  const { note } = probed;
  const groups = noGroups(note.endsWith("limits hold") ? { ok: true, note } : undefined);
  const arms: Arm[] = [{ degree: "container", backend, user: null, groups }];
  if (process.getuid?.() === 0) arms.push({ degree: "container, own user", backend, user: OWN, groups });
  const outcomes: Outcome[] = [];
  for (const arm of arms) outcomes.push(...(await assault(arm, cases, works)));
  return { outcomes, missing: [] };
}

/** Which of the cases work without any isolation here: the proof that they could fail. */
export async function control(cases: readonly Case[]): Promise<ReadonlySet<string>> {
  const ground = await layGround(null);
  const works = new Set<string>();
  try {
    for (const each of cases) {
      if (each.isDangerous === true) continue;
      const printed = await plainly(ground, each);
      if (each.got(ground, printed) !== null) works.add(each.id);
      await cleanUp(ground);
    }
  } finally {
    ground.remove();
  }
  return works;
}

/** Lets every case loose on one backend. */
export async function assault(
  arm: Arm,
  cases: readonly Case[],
  works: ReadonlySet<string>,
): Promise<Outcome[]> {
  const ground = await layGround(arm.user);
  const outcomes: Outcome[] = [];
  try {
    for (const each of cases) {
      const isHeld = arm.groups.check.ok && each.heldBy?.includes(arm.degree) === true;
      const isClaimed = isHeld || each.stoppedBy.includes(arm.degree);
      if (each.isDangerous === true && !isClaimed) continue;
      const got = await attempt(arm, ground, each);
      const isProven = each.isDangerous === true || works.has(each.id);
      const verdict = verdictOf({ isClaimed, isProven, got });
      outcomes.push({ id: each.id, tries: each.tries, on: arm.degree, got, verdict });
    }
  } finally {
    ground.remove();
  }
  return outcomes;
}

export function verdictOf(seen: { isClaimed: boolean; isProven: boolean; got: string | null }): Verdict {
  if (!seen.isClaimed) return "not claimed";
  if (seen.got !== null) return "SUCCEEDED";
  return seen.isProven ? "stopped" : "unproven";
}

async function attempt({ backend, groups }: Arm, ground: Ground, each: Case): Promise<string | null> {
  const more = typeof each.spec === "function" ? each.spec(ground) : each.spec;
  const spec = ground.spec(each.script(ground), more ?? {});
  const gate = backend.name === "sandbox" ? await gateOf(spec) : null;
  const before = process.env.LAZARUS_FORGE_TOKEN;
  process.env.LAZARUS_FORGE_TOKEN = ground.canary("inherited");
  const held = openSync(ground.at.config, "r");
  const start = backend.start(spec).finally(() => {
    closeSync(held);
    if (before === undefined) delete process.env.LAZARUS_FORGE_TOKEN;
    else process.env.LAZARUS_FORGE_TOKEN = before;
  });
  // A container knows no list of hosts, and is not started with one.
  const isRefused = backend.name === "container" && typeof spec.network !== "string";
  const handle = await start.catch((cause: unknown) => {
    if (isRefused && cause instanceof LazarusError && cause.code === "backend") return null;
    throw cause;
  });
  const end = performance.now() + PATIENCE_MS;
  if (handle !== null) {
    while ((await backend.observe(handle)).kind === "alive" && performance.now() < end) await pause(4);
    await backend.stop(handle, 0);
  }
  await groups.remove(spec.cellId);
  await gate?.close();
  const printed = existsSync(spec.logPath) ? readFileSync(spec.logPath, "latin1") : "";
  const got = each.got(ground, printed);
  await cleanUp(ground);
  return got;
}

/** The way to listed hosts, as a runner opens it. */
async function gateOf({ cellId, dirs, network }: RunSpec): Promise<Gate | null> {
  if (typeof network === "string") return null;
  return openGate({ cellId, dir: gateDirOf(dirs), hosts: network, log: silentLog });
}

/** A child as any program starts one: with the environment and the descriptors of its parent. */
async function plainly(ground: Ground, each: Case): Promise<string> {
  const log = join(ground.root, "plain.log");
  const [out, held] = [openSync(log, "w"), openSync(ground.at.config, "r")];
  const child = spawn("/bin/sh", ["-c", each.script(ground)], {
    cwd: join(ground.root, "missions/own/worktree"),
    stdio: ["ignore", out, out, held],
    env: { ...process.env, LAZARUS_FORGE_TOKEN: ground.canary("inherited") },
    timeout: PATIENCE_MS,
  });
  await once(child, "exit");
  closeSync(out);
  closeSync(held);
  return readFileSync(log, "latin1");
}

async function cleanUp(ground: Ground): Promise<void> {
  for (const { pid } of [ground.lazarus, ground.neighbour]) {
    process.kill(pid, "SIGCONT");
    writeFileSync(`/proc/${pid}/oom_score_adj`, "0");
  }
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
      if (words.includes(ground.abstract) && Number(pid) !== process.pid)
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // It is gone already.
    }
  }
  for (const path of [`/tmp/${ground.abstract}`, `/usr/local/${ground.abstract}`])
    rmSync(path, { force: true });
  for (const dir of ["missions/own/worktree", "missions/own/moved", "missions/own/logs"])
    rmSync(join(ground.root, dir), { recursive: true, force: true });
  ground.hits.splice(0);
  ground.restore();
}
