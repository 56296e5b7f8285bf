/**
 * Every failure Lazarus names. A code is for programs (exit codes, tests); people read the message.
 * Mistakes of people (a typo, a missing right) are values, never errors.
 */
export type ErrorCode =
  | "configuration"
  | "usage"
  | "forge-unreachable"
  | "forge-refused"
  | "forge-answer"
  /** The forge answers under another name: whoever knows the repository's id finds out which. */
  | "repository-moved"
  | "registry-unusable"
  | "registry-newer"
  | "lock-held"
  | "lease-lost"
  | "backend"
  | "runner-gone"
  /** A runner was started anew while it was at work on a job: another attempt, which does not count. */
  | "runner-restarted"
  | "queue-unreachable"
  | "agent-missing"
  | "directory"
  | "disk-full"
  /** Work on what agents or strangers made came to its limit of memory, time or size: never tried again. */
  | "over-limit"
  | "git"
  | "push-refused"
  | "not-found"
  | "wrong-user"
  | "internal";

export interface ErrorDetails {
  /** Whether the same call may work later without anybody changing anything. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/** What was being done, what went wrong and, where known, what to do, in one line. */
export class LazarusError extends Error {
  override readonly name: string = "LazarusError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? false;
  }
}

/** One line for people: the message of an error and of its causes, without stacks. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.message.split("\n")[0] ?? error.name;
  if (error.cause === undefined) return own;
  const cause = explain(error.cause);
  return own.includes(cause) ? own : `${own}: ${cause}`;
}

/**
 * The same for an issue, which strangers may read: our own words, without what a system call said of the
 * paths of this machine.
 */
export function explainToPeople(error: unknown): string {
  if (!(error instanceof LazarusError)) return "something went wrong inside Lazarus; its log says what";
  return error.message.split("\n")[0] ?? error.code;
}

/** Whether trying again may help; what we do not know is tried again. */
export function isRetryable(error: unknown): boolean {
  return error instanceof LazarusError ? error.retryable : true;
}

/** Whether what a program said when it failed is that the disk, or somebody's share of it, is full. */
export function saysDiskFull(stderr: string): boolean {
  return /No space left on device|Disk quota exceeded/.test(stderr);
}

/** The `code` of a Node system error (`ENOENT`, `ENOSPC` …), else undefined. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
