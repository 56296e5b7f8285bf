import { closeSync, constants, createWriteStream } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { ChildEnd, ChildSpec } from "../backend.ts";
import { CHILD_NAME } from "../os/child.ts";
import { endProcesses } from "../os/kill.ts";
import { processesOf } from "../os/scan.ts";
import { execText } from "../os/shell-text.ts";
import { childScript } from "../os/shim.ts";
import { openRegular, spawnShell } from "../os/spawn.ts";
import { type Engine, removeContainers } from "./engine.ts";

const PIPE_DRAIN_MS = 1_000;

export interface ChildPlan {
  readonly engine: Engine;
  readonly spec: ChildSpec;
  /** Label of its container. */
  readonly run: string;
  /** The engine's command line, and the environment of its client. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

class TooMuch extends Error {}

/**
 * Runs one short container to its end and writes what it says to `spec.stdoutPath`. The output comes to us,
 * not to a file of the client's: a limit of file size would hold for the engine's own files as well.
 */
export async function runContainerToEnd(plan: ChildPlan): Promise<ChildEnd> {
  const { spec } = plan;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const output = openRegular(spec.stdoutPath, flags);
  const { text, data } = execText(plan.command);
  const { child, identity } = await spawnShell({
    script: { text: childScript({ limits: "c:0", enter: "", unset: "lzs_dir" }, text), data },
    ...{ words: [CHILD_NAME], where: { dirs: spec.dirs, env: plan.env }, ownDir: dirname(spec.stdoutPath) },
    stdio: ["ignore", "pipe", "pipe"],
  }).catch((cause) => {
    closeSync(output);
    throw cause;
  });

  let forced: "time" | "size" | null = null;
  const end = async () => {
    const find = () => processesOf({ cellId: spec.cellId, leader: identity, byMarker: false });
    await endProcesses({ find }, 0);
    await removeContainers(plan.engine, spec.cellId, plan.run);
  };
  let ending: Promise<void> | null = null;
  const force = (why: "time" | "size") => {
    forced ??= why;
    ending ??= end();
    // Looked at below; until then it is nobody's unhandled rejection.
    ending.catch(() => {});
  };
  const timer = setTimeout(() => force("time"), spec.timeoutMs);

  const errors = collect(child.stderr as Readable, spec.stderrBytes);
  const room = spec.limits.fileBytes ?? Number.POSITIVE_INFINITY;
  let failed: unknown = null;
  const written = pipeline(
    child.stdout as Readable,
    (source: AsyncIterable<Buffer>) => upTo(source, room),
    createWriteStream("", { fd: output }),
  ).catch((cause: unknown) => {
    if (!(cause instanceof TooMuch)) failed = cause;
    force("size");
  });
  const result = await new Promise<{ code: number | null; signal: string | null }>((settle) => {
    child.once("exit", (code, signal) => settle({ code, signal: signal?.replace(/^SIG/, "") ?? null }));
  });
  clearTimeout(timer);
  await Promise.race([
    Promise.all([written, errors.closed]),
    pause(PIPE_DRAIN_MS, undefined, { ref: false }),
  ]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  await written;
  await ending;
  if (failed !== null) throw failed;
  const code = forced === null ? result.code : null;
  const signal = forced === null ? result.signal : forced === "time" ? "KILL" : "XFSZ";
  return { code, signal, timedOut: forced === "time", stderr: errors.text() };
}

function collect(stream: Readable, bytes: number): { text: () => string; closed: Promise<void> } {
  const chunks: Buffer[] = [];
  let room = bytes;
  stream.on("data", (chunk: Buffer) => {
    // Read on when there is no room: a full pipe would stop the child.
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  });
  const closed = new Promise<void>((settle) => stream.once("close", () => settle()));
  return { text: () => Buffer.concat(chunks).toString("utf8"), closed };
}

async function* upTo(source: AsyncIterable<Buffer>, bytes: number): AsyncGenerator<Buffer> {
  let room = bytes;
  for await (const chunk of source) {
    if (chunk.length > room) {
      yield chunk.subarray(0, room);
      throw new TooMuch();
    }
    room -= chunk.length;
    yield chunk;
  }
}
