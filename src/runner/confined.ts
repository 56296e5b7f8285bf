import { LazarusError } from "../errors.ts";

/** What one piece of work on what agents or strangers made may use of this machine. */
export interface WorkLimits {
  /** Of each process: what it allocates, not the files that it maps (`limits.confined`). */
  readonly memoryBytes: number;
  /** Wall clock of the whole. */
  readonly mostMs: number;
}

/** Long enough for a large repository on a slow disk. */
export const WORK_MS = 5 * 60_000;

/** Of each process: what no clock ends (a fetch that goes on) computes no longer. */
const MOST_CPU_HOURS = 4;

/** Git closes packs by itself before it comes to that; nothing else needs more. */
const OPEN_FILES = 1_024;

/**
 * The shell that lowers its own limits and becomes what `$@` says after them.
 * @see setrlimit(2), RLIMIT_DATA: since Linux 4.7 all private memory that can be written
 */
export function limitScript(limits: Pick<WorkLimits, "memoryBytes">, command: string): string {
  const others = `{ ulimit -c 0; ulimit -n ${OPEN_FILES}; ulimit -t ${MOST_CPU_HOURS * 60 * 60}; } 2>/dev/null`;
  return `${others}; ulimit -d ${Math.ceil(limits.memoryBytes / 1024)} && exec ${command}`;
}

/** A command under limits, as words to spawn. */
export function underLimits(
  limits: Pick<WorkLimits, "memoryBytes">,
  command: readonly string[],
): [string, ...string[]] {
  return ["/bin/sh", "-c", limitScript(limits, '"$@"'), "lazarus-limits", ...command];
}

/** Whether a program says that it got no more memory. */
export function saysOutOfMemory(stderr: string): boolean {
  return /out of memory|cannot allocate memory|memory exhausted|malloc failed|unable to create thread/i.test(
    stderr,
  );
}

/** Whether git says that one of its processes came to the limit of its CPU: SIGXCPU. */
export function saysOutOfCpu(stderr: string): boolean {
  return /died of signal 24\b/.test(stderr);
}

/** What is answered then, once and for all. */
export function overCpu(doing: string): LazarusError {
  return new LazarusError("over-limit", `${doing}: it computes for more than ${MOST_CPU_HOURS} hours`);
}

/** The final answer where work came to its limit: the same work would come to it again. */
export function overMemory(doing: string, { memoryBytes }: WorkLimits): LazarusError {
  const most = Math.round(memoryBytes / 1024 ** 2);
  return new LazarusError(
    "over-limit",
    `${doing}: it needs more than ${most} MB of memory (limits.confined)`,
  );
}

/** The same for the clock. */
export function overTime(doing: string, { mostMs }: WorkLimits): LazarusError {
  return new LazarusError("over-limit", `${doing}: it takes longer than ${Math.round(mostMs / 1_000)} s`);
}

/** The same for what a child prints. */
export function overOutput(doing: string, mostBytes: number): LazarusError {
  const most = Math.round(mostBytes / 1024 ** 2);
  return new LazarusError("over-limit", `${doing}: there is more than ${most} MB of it to look through`);
}
