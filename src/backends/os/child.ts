import { closeSync, constants } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { ChildEnd, ChildSpec } from "../backend.ts";
import { endProcesses } from "./kill.ts";
import { bootId, type Identity, readStat } from "./proc.ts";
import { processesOf } from "./scan.ts";
import type { ShellText } from "./shell-text.ts";
import { backendError, openRegular, spawnShell } from "./spawn.ts";
import { killLeader } from "./strike.ts";

/** For people who list processes. */
export const CHILD_NAME = "lazarus-child";
const PIPE_DRAIN_MS = 1_000;
const INFO_BYTES = 4_096;

export interface ChildLaunch {
  readonly spec: ChildSpec;
  readonly script: ShellText;
  /** Whether it says on file descriptor 3 who leads its namespace (bubblewrap's `--info-fd`). */
  readonly tellsLeader: boolean;
}

/**
 * Runs a short command to its end, and whatever it started with it.
 * @throws LazarusError `backend` or `disk-full` where we could not run it.
 */
export async function runChild(launch: ChildLaunch): Promise<ChildEnd> {
  const { spec, script, tellsLeader } = launch;
  const what = `running ${spec.command[0] ?? "nothing"} in cell ${spec.cellId}`;
  let output: number | null = null;
  try {
    output = openRegular(spec.stdoutPath, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    const spawned = await spawnShell({
      ...{ script, words: [CHILD_NAME], where: spec, ownDir: dirname(spec.stdoutPath) },
      ...{ stdio: ["ignore", output, "pipe"] as const, isTold: tellsLeader },
    });
    return await waitForEnd(spec, spawned);
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
  const inside = readLeader((child.stdio[3] ?? null) as Readable | null);
  const closed = new Promise<void>((resolve) => child.stderr?.once("close", resolve));
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal: signal?.replace(/^SIG/, "") ?? null }));
  });

  // Killed without being asked. Its own session and namespace only: the cell's marker and user are borne by
  // whatever else runs there.
  const end = () =>
    endProcesses(
      {
        find: () => processesOf({ cellId: spec.cellId, leader: identity, byMarker: false, also: inside() }),
        strike: async () => killLeader(identity),
        isAsked: () => false,
      },
      0,
    );
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

/**
 * The first process of the child's namespace, once it was named. Nothing lives in a namespace whose first
 * process is dead, and it dies last: bubblewrap itself ends before.
 */
function readLeader(info: Readable | null): () => Identity | null {
  let text = "";
  let leader: Identity | null = null;
  info?.on("data", (chunk: Buffer) => {
    if (text.length < INFO_BYTES) text += chunk.toString("latin1");
    const pid = Number(/"child-pid": (\d+)/.exec(text)?.[1]);
    const startTicks = leader === null && pid > 0 ? readStat(pid)?.startTicks : undefined;
    if (startTicks !== undefined) leader = { pid, startTicks, bootId: bootId() };
  });
  info?.on("error", () => {});
  return () => leader;
}
