import type { Surroundings } from "../backend.ts";
import { shellNoise } from "../os/shim.ts";
import { INIT } from "./scripts.ts";

/** What the engine said of itself, and of the machine it runs on. */
export interface EngineFacts {
  readonly dialect: "podman" | "docker";
  readonly version: string;
  /** Whether it runs without rights of root: then the users inside are mapped. */
  readonly rootless: boolean;
  readonly selinux: boolean;
  /** Which limits its control groups can hold. */
  readonly holds: { readonly memory: boolean; readonly processes: boolean; readonly cpu: boolean };
}

export interface ContainerPlan {
  readonly name: string;
  /** What `lazarus.run` is labelled with: the run's number, or a name of a short command. */
  readonly run: string;
  readonly image: string;
  readonly around: Surroundings;
  readonly command: readonly string[];
  readonly interactive: boolean;
  readonly facts: EngineFacts;
  /** Who it runs as, as the host counts. */
  readonly user: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** Our own hard limits, which an engine's defaults may exceed and then fail on; null: none. */
  readonly hard: { readonly files: number | null; readonly processes: number | null };
  /** The mirror's objects, where there are any. */
  readonly objects: string | null;
}

export const CELL_LABEL = "lazarus.cell";
export const RUN_LABEL = "lazarus.run";
/** Half of what every other process weighs: an agent takes what is idle, and yields on a busy machine. */
const CPU_SHARES = 512;
/**
 * Has to be said, since an engine's own default may be more than its runtime may set; seen to fail at the
 * hard limit itself as well. What holds is the control group's.
 */
const PROCESSES_OF_A_USER = 16_384;

/**
 * Words after the engine's own for one container, and what its client's environment must hold for it. Values
 * of the environment are never among the words, which everybody on the machine can read.
 */
export function containerArguments(plan: ContainerPlan): { args: string[]; env: Record<string, string> } {
  const { around, facts } = plan;
  const entries = Object.entries(around.env);
  const wrapped = Object.fromEntries(entries.map(([, value], at) => [`LZE_${at + 1}`, value]));
  const env = { ...wrapped, LAZARUS_CELL: around.cellId };
  const args = [
    ...["run", "--rm", "--pull", "never", "--log-driver", "none"],
    ...[
      "--name",
      plan.name,
      "--label",
      `${CELL_LABEL}=${around.cellId}`,
      "--label",
      `${RUN_LABEL}=${plan.run}`,
    ],
    ...(plan.interactive ? ["--interactive"] : []),
    ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    // A relabelled cell would be every container's; without this, none may read its own.
    ...(facts.selinux ? ["--security-opt", "label=disable"] : []),
    ...["--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777"],
    ...(facts.dialect === "podman" ? ["--image-volume", "tmpfs"] : []),
    ...(around.network === "none" ? ["--network", "none"] : []),
    ...userArguments(plan),
    ...limitArguments(plan),
    ...mountArguments(plan),
    ...["--workdir", around.dirs.worktree],
    ...Object.keys(env).flatMap((name) => ["--env", name]),
    ...["--entrypoint", "/bin/sh", plan.image],
    ...["-c", INIT, "lazarus-init", entries.map(([name]) => name).join(" "), shellNoise(around.env)],
    dataLimit(plan),
    ...plan.command,
  ];
  return { args, env };
}

/** Names of an environment that a shell cannot pass on. */
export function unspeakable(env: Readonly<Record<string, string>>): string[] {
  return Object.keys(env).filter((name) => !/^[A-Za-z_]\w*$/.test(name) || /^lze_/i.test(name));
}

function userArguments({ facts, user }: ContainerPlan): string[] {
  const groups = user.groups.flatMap((gid) => ["--group-add", String(gid)]);
  // There, root inside is the ordinary user outside; nothing else would own the cell's files.
  if (facts.rootless && facts.dialect === "docker") return ["--user", "0:0", ...groups];
  const mapped = facts.rootless ? ["--userns", "keep-id"] : [];
  return [...mapped, "--user", `${user.uid}:${user.gid}`, ...groups];
}

function limitArguments({ around: { limits }, facts, hard }: ContainerPlan): string[] {
  const { holds } = facts;
  const words: string[] = [];
  const ulimit = (name: string, value: number | null) => {
    if (value !== null) words.push("--ulimit", `${name}=${value}:${value}`);
  };
  if (limits.memoryBytes !== null && holds.memory) {
    // As much swap as memory, as engines would give, is twice the limit.
    words.push("--memory", String(limits.memoryBytes), "--memory-swap", String(limits.memoryBytes));
  }
  // One more for the first process, which is ours.
  if (limits.processes !== null && holds.processes) words.push("--pids-limit", String(limits.processes + 1));
  if (holds.cpu) words.push("--cpu-shares", String(CPU_SHARES));
  ulimit("core", 0);
  ulimit("fsize", limits.fileBytes);
  ulimit("nofile", smaller(limits.openFiles, hard.files));
  ulimit("nproc", smaller(PROCESSES_OF_A_USER, hard.processes));
  return words;
}

/**
 * KiB for each process, where no control group holds them all; not as the engine's ulimit, which its own
 * runtime would not survive.
 */
function dataLimit({ around: { limits }, facts }: ContainerPlan): string {
  return limits.memoryBytes === null || facts.holds.memory
    ? ""
    : String(Math.ceil(limits.memoryBytes / 1024));
}

function smaller(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}

function mountArguments({ around: { dirs, role, paths }, objects }: ContainerPlan): string[] {
  const writable = [...(role === "observer" ? [] : [dirs.worktree]), dirs.artifacts, dirs.home];
  const readable = [...(role === "observer" ? [dirs.worktree] : []), dirs.brief];
  if (dirs.prompt !== null) readable.push(dirs.prompt);
  readable.push(...paths);
  if (objects !== null) readable.push(objects);
  return [
    ...writable.flatMap((path) => ["--mount", mount(path)]),
    // Engines refuse one place that is named twice.
    ...[...new Set(readable)].flatMap((path) => ["--mount", `${mount(path)},readonly`]),
  ];
}

/** The same path inside as outside. Engines read the word as one line of CSV. */
function mount(path: string): string {
  return ["type=bind", `source=${path}`, `destination=${path}`].map(quoted).join(",");
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
