import { LazarusError } from "../errors.ts";
import { formatSize } from "../units.ts";

/** What one piece of work on what agents or strangers made may use of this machine. */
export interface WorkLimits {
  /** Of each process: what it allocates, not the files that it maps (`limits.confined`). */
  readonly memoryBytes: number;
  /** Of each file that is written; holes count. */
  readonly fileBytes: number;
  /** Wall clock of the whole. */
  readonly mostMs: number;
}

/** Long enough for a large repository on a slow disk. */
export const WORK_MS = 5 * 60_000;

/** One pack may hold the whole history of a large repository, which cells borrow and do not pay for. */
const LEAST_FILE_BYTES = 20 * 1024 ** 3;

/** Of each process: what no clock ends (a fetch that goes on) computes no longer. */
const MOST_CPU_HOURS = 4;
const CPU_SECONDS = MOST_CPU_HOURS * 60 * 60;

/** At the first a process is told by a signal of its own; at the second it is killed. */
const TO_END_SECONDS = 60;

/** Git closes packs by itself before it comes to that; nothing else needs more. */
const OPEN_FILES = 1_024;

/** The limits of work on what agents made, from `limits` of the file. */
export function workLimits(limits: {
  readonly confinedBytes: number;
  readonly diskBytes: number;
}): WorkLimits {
  return {
    memoryBytes: limits.confinedBytes,
    // A seal is one file: all that a cell may have on disk, and its logs.
    fileBytes: Math.max(LEAST_FILE_BYTES, 2 * limits.diskBytes),
    mostMs: WORK_MS,
  };
}

/** Of each process of such work. */
type ProcessLimits = Pick<WorkLimits, "memoryBytes" | "fileBytes">;

/**
 * The shell that lowers its own limits and becomes what `$@` says after them.
 * A write beyond the limit of files fails with words; the signal would say nothing of why.
 * @see setrlimit(2), RLIMIT_DATA: since Linux 4.7 all private memory that can be written
 */
export function limitScript(limits: ProcessLimits, command: string): string {
  const lower = [
    ...["trap '' XFSZ", "ulimit -c 0", `ulimit -n ${OPEN_FILES}`],
    ...[`ulimit -S -t ${CPU_SECONDS}`, `ulimit -H -t ${CPU_SECONDS + TO_END_SECONDS}`],
    ...(limits.fileBytes < Number.POSITIVE_INFINITY
      ? [`ulimit -f ${Math.ceil(limits.fileBytes / FILE_BLOCK)}`]
      : []),
  ];
  const memory = `ulimit -d ${Math.ceil(limits.memoryBytes / 1024)}`;
  return `{ ${lower.join("; ")}; } 2>/dev/null; ${memory} && exec ${command}`;
}

/** @see POSIX, ulimit: file sizes in units of 512 bytes */
const FILE_BLOCK = 512;

/** A command under limits, as words to spawn. */
export function underLimits(limits: ProcessLimits, command: readonly string[]): [string, ...string[]] {
  return ["/bin/sh", "-c", limitScript(limits, '"$@"'), "lazarus-limits", ...command];
}

/**
 * What git says of this machine: without the words of a forge, which may have come to limits of its own.
 * @see git's sideband.c and pkt-line.c; a line ends where they end one
 */
export function ownWords(stderr: string): string {
  return stderr
    .split(/[\r\n]+/)
    .filter((line) => !/^(?:remote: |fatal: remote error: |error: remote unpack failed: )/.test(line))
    .join("\n");
}

/** Whether a program says that it got no more memory. */
export function saysOutOfMemory(stderr: string): boolean {
  return /out of memory|cannot allocate memory|memory exhausted|malloc failed|unable to create thread/i.test(
    ownWords(stderr),
  );
}

/** Whether git says that one of its processes came to the limit of its CPU: SIGXCPU. */
export function saysOutOfCpu(stderr: string): boolean {
  return /died of signal 24\b/.test(ownWords(stderr));
}

/** Whether a program says that it may not write a file of that size: EFBIG. A full disk has other words. */
export function saysFileTooLarge(stderr: string): boolean {
  return /: File too large$/m.test(ownWords(stderr));
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

/** The same for one file. */
export function overFile(doing: string, { fileBytes }: Pick<WorkLimits, "fileBytes">): LazarusError {
  const most = formatSize(fileBytes);
  return new LazarusError("over-limit", `${doing}: it writes a file of more than ${most} (limits.disk)`);
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
