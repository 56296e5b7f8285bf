import { spawn } from "node:child_process";
import * as z from "zod";
import { started } from "../backends/os/started.ts";
import { LazarusError } from "../errors.ts";
import {
  overFile,
  overMemory,
  overOutput,
  overTime,
  saysOutOfMemory,
  underLimits,
  type WorkLimits,
} from "./confined.ts";
import { WORKER_PROGRAM } from "./programs.ts";

export interface WorkPlan<Answer> {
  readonly request: object;
  readonly answer: z.ZodType<Answer>;
  /** For errors. */
  readonly doing: string;
  readonly limits: WorkLimits;
  /** Where it stands; what is opened there already may be named by its descriptor of ours. */
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** Of the worker: what it works through is never all in memory. */
const HEAP_MB = 384;
/** With less the program itself does not start. A worker that starts another gives it no more than it has. */
export const LEAST_MEMORY = 768 * 1024 ** 2;
const MOST_ANSWER = 1024 ** 2;
const MOST_STDERR = 64 * 1024;

const fault = z.object({
  code: z.enum(["directory", "disk-full", "over-limit", "git", "internal"]),
  message: z.string(),
  retryable: z.boolean(),
  /** It came to the limit of one file, which the parent knows. */
  isFileTooLarge: z.boolean(),
});

/**
 * Has a child of ours do one piece of work on what agents made, in a process group of its own and under
 * limits: our event loop waits for one line of JSON. The child ends with us.
 * @throws LazarusError what the child said; `over-limit`; `internal`, retryable, where it was killed.
 */
export function runWorker<Answer>(task: string, plan: WorkPlan<Answer>): Promise<Answer> {
  const { limits, doing, signal } = plan;
  const own = { ...limits, memoryBytes: Math.max(limits.memoryBytes, LEAST_MEMORY) };
  const node = [process.execPath, `--max-old-space-size=${HEAP_MB}`, WORKER_PROGRAM, task];
  const [command, ...args] = underLimits(own, node);
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const how = { cwd: plan.cwd ?? "/", env: {}, stdio: "pipe", detached: true } as const;
    const child = started(spawn(command, args, how), doing);
    let why: unknown = null;
    const stop = (reason: unknown) => {
      why ??= reason;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    };
    const abort = () => stop(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const clock = setTimeout(() => stop(overTime(doing, limits)), limits.mostMs);
    const settle = (act: () => void) => {
      clearTimeout(clock);
      signal?.removeEventListener("abort", abort);
      try {
        act();
      } catch (error) {
        reject(error);
      }
    };
    let [said, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.length > MOST_ANSWER) stop(overOutput(doing, MOST_ANSWER));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-MOST_STDERR);
    });
    // It may be gone before it has read all: its end says so.
    child.stdin.on("error", () => {});
    child.once("error", (cause) =>
      settle(() => reject(new LazarusError("internal", doing, { retryable: true, cause }))),
    );
    child.once("close", (code) =>
      settle(() => {
        if (why !== null) return reject(why);
        if (code === 0) return resolve(readAnswer(said, plan));
        if (saysOutOfMemory(stderr)) return reject(overMemory(doing, own));
        const how = code === null ? "was killed" : `exited ${code}: ${stderr.trim().slice(-300)}`;
        reject(new LazarusError("internal", `${doing}: the worker ${how}`, { retryable: true }));
      }),
    );
    // Its end tells the child that we are gone.
    child.stdin.write(`${JSON.stringify({ ...plan.request, parent: process.pid })}\n`);
  });
}

function readAnswer<Answer>(said: string, { answer, doing, limits }: WorkPlan<Answer>): Answer {
  const json = parseJson(said);
  const failed = z.object({ fault }).safeParse(json);
  if (failed.success) {
    const { code, message, retryable, isFileTooLarge } = failed.data.fault;
    if (isFileTooLarge) throw overFile(doing, limits);
    throw new LazarusError(code, message, { retryable });
  }
  const done = z.object({ done: answer }).safeParse(json);
  if (done.success) return done.data.done as Answer;
  throw new LazarusError("internal", `${doing}: the worker gave no answer`, { retryable: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
