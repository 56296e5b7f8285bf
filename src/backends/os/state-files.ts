import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { toIso } from "../../clock.ts";
import { LazarusError, systemCode } from "../../errors.ts";

const time = z.iso.datetime().transform((text) => Date.parse(text));

const runFile = z.object({
  cell: z.string(),
  run: z.int(),
  agent: z.string(),
  pid: z.int(),
  start_ticks: z.int(),
  boot_id: z.string(),
  started_at: time,
});

const exitFile = z.object({
  run: z.int(),
  code: z.int().min(0).max(255).nullable(),
  signal: z
    .string()
    .regex(/^[A-Z][A-Z0-9+-]{0,15}$/)
    .nullable(),
  ended_at: time,
});

export type RunFile = z.infer<typeof runFile>;
export type ExitFile = z.infer<typeof exitFile>;

const MAX_BYTES = 64 * 1024;

/** `state/run.json` if it is that run's; null when it is missing, another run's or not what it should be. */
export function readRunFile(stateDir: string, run: number): RunFile | null {
  const parsed = runFile.safeParse(readJson(join(stateDir, "run.json")));
  return parsed.success && parsed.data.run === run ? parsed.data : null;
}

/** `state/exit.json` if it is that run's; null when it is missing, another run's or not what it should be. */
export function readExitFile(stateDir: string, run: number): ExitFile | null {
  const parsed = exitFile.safeParse(readJson(join(stateDir, "exit.json")));
  return parsed.success && parsed.data.run === run ? parsed.data : null;
}

/** Pid of the shim that took the run; undefined: nobody did; null: somebody did, and has not said who. */
export function readLock(stateDir: string, run: number): number | null | undefined {
  const text = readSmall(join(stateDir, `run-${run}.lock`));
  if (text === undefined) return undefined;
  return /^\d+\n$/.test(text) ? Number(text) : null;
}

/**
 * Says in `state/exit.json` that the run was killed, for a shim that could not.
 * @throws LazarusError `disk-full` or `directory`; a state directory that is gone needs no record.
 */
export function writeKilled(stateDir: string, run: number, endedAt: number): void {
  const record = { run, code: null, signal: "KILL", ended_at: toIso(endedAt), by: "lazarus" };
  const aside = join(stateDir, `.exit.json.${process.pid}`);
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    const fd = openSync(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    try {
      writeSync(fd, `${JSON.stringify(record, null, 2)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, join(stateDir, "exit.json"));
  } catch (cause) {
    const code = systemCode(cause);
    // Gone, or made something else by an agent that has our rights: nothing that a later attempt would mend.
    if (["ENOENT", "ENOTDIR", "EISDIR", "ELOOP"].includes(code ?? "")) return;
    const kind = code === "ENOSPC" || code === "EDQUOT" ? "disk-full" : "directory";
    throw new LazarusError(kind, `writing down in ${stateDir} that run ${run} was killed`, {
      retryable: true,
      cause,
    });
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readSmall(path) ?? "null");
  } catch {
    return null;
  }
}

/**
 * Text of a small regular file; undefined when there is none. In `process` an agent has our rights: no link,
 * no fifo, nothing huge is read.
 */
function readSmall(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && stat.size <= MAX_BYTES ? readFileSync(fd, "utf8") : "";
  } finally {
    closeSync(fd);
  }
}
