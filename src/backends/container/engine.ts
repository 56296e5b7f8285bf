import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { LazarusError, systemCode } from "../../errors.ts";
import { CELL_LABEL, type EngineFacts, RUN_LABEL } from "./args.ts";
import { ASK_ALL } from "./scripts.ts";

const ANSWER_MS = 30_000;
const REMOVE_FOR_MS = 20_000;
const POLL_MS = 100;

/** How the engine is called. */
export interface Engine {
  /** `podman`, `docker`, or a path of one. */
  readonly engine: string;
  /** Go before the engine's own words. */
  readonly args: readonly string[];
  /**
   * The whole environment of its client: never an agent's, whose HOME holds settings that the agent could
   * write.
   */
  readonly env: Readonly<Record<string, string>>;
}

export interface EngineReply {
  /** Null: it was not there, was killed, or did not answer in time. */
  readonly code: number | null;
  readonly stdout: string;
  /** What went wrong, in one line. */
  readonly why: string;
  readonly absent: boolean;
}

export interface Container {
  readonly id: string;
  readonly name: string;
}

const podmanInfo = z.object({
  host: z.object({
    cgroupVersion: z.string().default("v2"),
    cgroupControllers: z.array(z.string()).nullish(),
    security: z.object({ rootless: z.boolean().default(false), selinuxEnabled: z.boolean().default(false) }),
  }),
  version: z.object({ Version: z.string().default("") }),
});
const dockerInfo = z.object({
  ServerVersion: z.string().min(1),
  MemoryLimit: z.boolean().default(false),
  PidsLimit: z.boolean().default(false),
  CPUShares: z.boolean().default(false),
  SecurityOptions: z.array(z.string()).nullish(),
});

/** Asks the engine something short. Never throws: what went wrong is in the answer. */
export function ask(engine: Engine, words: readonly string[], timeoutMs = ANSWER_MS): Promise<EngineReply> {
  const options = {
    env: { ...engine.env },
    cwd: "/",
    timeout: Math.ceil(timeoutMs),
    maxBuffer: 8 * 1024 * 1024,
  };
  return new Promise((resolve) => {
    execFile(engine.engine, [...engine.args, ...words], options, (error, stdout, stderr) => {
      // The second where a directory of the PATH is closed to this user.
      const absent = ["ENOENT", "EACCES"].includes(systemCode(error) ?? "");
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
      const why = absent
        ? `there is no ${engine.engine} on the PATH`
        : lastLine(stderr) || lastLine(error?.message ?? "");
      resolve({ code, stdout, why, absent });
    });
  });
}

/** The last line that says something. */
export function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  return (lines.at(-1) ?? "").replace(/\p{Cc}+/gu, " ").slice(0, 300);
}

/** What the engine is and can hold, or the answer that was no such thing. */
export async function factsOf(engine: Engine): Promise<EngineFacts | EngineReply> {
  const answer = await ask(engine, ["info", "--format", "{{json .}}"]);
  if (answer.code !== 0) return answer;
  return readFacts(answer.stdout) ?? { ...answer, code: null, why: "its answer to `info` is not understood" };
}

/** Reads what `info --format '{{json .}}'` of either engine printed. */
export function readFacts(text: string): EngineFacts | null {
  const tree = parse(text);
  const podman = podmanInfo.safeParse(tree);
  if (podman.success) {
    const { host, version } = podman.data;
    const { rootless, selinuxEnabled } = host.security;
    // Control groups of version 1 cannot be given to users.
    const has = (name: string) =>
      !(rootless && host.cgroupVersion === "v1") && (host.cgroupControllers ?? []).includes(name);
    const holds = { memory: has("memory"), processes: has("pids"), cpu: has("cpu") };
    return { dialect: "podman", version: version.Version, rootless, selinux: selinuxEnabled, holds };
  }
  const docker = dockerInfo.safeParse(tree);
  if (!docker.success) return null;
  const { ServerVersion, MemoryLimit, PidsLimit, CPUShares, SecurityOptions } = docker.data;
  const secured = (name: string) =>
    (SecurityOptions ?? []).some((one) => one.split(",")[0] === `name=${name}`);
  return {
    dialect: "docker",
    version: ServerVersion,
    rootless: secured("rootless"),
    selinux: secured("selinux"),
    holds: { memory: MemoryLimit, processes: PidsLimit, cpu: CPUShares },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Containers of a cell, running or not; of one run of it, where that is named.
 * @throws LazarusError `backend`, retryable: that there are none cannot be said by an engine that does not
 * answer.
 */
export async function containersOf(engine: Engine, cellId: string, run?: string): Promise<Container[]> {
  const filters = [
    `label=${CELL_LABEL}=${cellId}`,
    ...(run === undefined ? [] : [`label=${RUN_LABEL}=${run}`]),
  ];
  const words = filters.flatMap((filter) => ["--filter", filter]);
  const answer = await ask(engine, ["ps", "--all", "--no-trunc", ...words, "--format", "{{.ID}} {{.Names}}"]);
  if (answer.code !== 0) {
    const what = `asking ${engine.engine} for the containers of cell ${cellId}`;
    throw new LazarusError("backend", `${what}: ${answer.why}`, { retryable: true });
  }
  return answer.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({ id: line.split(" ")[0] ?? "", name: line.split(" ")[1] ?? "" }));
}

/**
 * Sends TERM to everything in a container but its first process; false: not now. Engines by themselves would
 * only tell the first one.
 */
export async function askToEnd(engine: Engine, container: Container, timeoutMs: number): Promise<boolean> {
  const answer = await ask(engine, ["exec", container.id, "/bin/sh", "-c", ASK_ALL], timeoutMs);
  return answer.code !== null && answer.code < 125;
}

/** Kills and removes containers until there are none; answers what is left after twenty seconds. */
export async function removeContainers(engine: Engine, cellId: string, run?: string): Promise<Container[]> {
  const deadline = performance.now() + REMOVE_FOR_MS;
  for (;;) {
    const left = await containersOf(engine, cellId, run);
    if (left.length === 0 || performance.now() > deadline) return left;
    const ids = left.map(({ id }) => id);
    // First, since podman's own removal asks politely for ten seconds.
    await ask(engine, ["kill", ...ids]);
    await ask(engine, ["rm", "--force", "--volumes", ...ids]);
    await pause(POLL_MS);
  }
}
