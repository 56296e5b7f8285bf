import { type ErrorCode, explain, isRetryable, LazarusError, systemCode } from "../errors.ts";
import type { JobKind } from "../protocol/jobs.ts";
import type { RunnerFacts } from "../protocol/runner-facts.ts";
import type { WireFailure } from "./messages.ts";

const LONGEST = 4_000;

/** An error as it crosses: never its stack. */
export function toWire(error: unknown, redact: (text: string) => string, isEnd = false): WireFailure {
  const code = error instanceof LazarusError ? error.code : (systemCode(error) ?? null);
  return { code, message: redact(explain(error)).slice(0, LONGEST), retryable: isRetryable(error), isEnd };
}

const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  ...([
    "configuration",
    "usage",
    "forge-unreachable",
    "forge-refused",
    "forge-answer",
    "repository-moved",
  ] as const),
  ...(["backend", "agent-missing", "directory", "disk-full", "over-limit", "git", "push-refused"] as const),
  ...(["not-found", "internal", "lease-lost", "queue-unreachable"] as const),
]);

/** The error that a runner had, as far as it is believed: a code that it cannot have is none. */
export function fromWire({ code, message, retryable }: WireFailure): Error {
  if (code !== null && CODES.has(code)) return new LazarusError(code as ErrorCode, message, { retryable });
  const error = new Error(message);
  // A system error is tried again as often as one of this machine; what nobody foresaw less often.
  return code === null ? error : Object.assign(error, { code });
}

/** Why a job is not sent to a runner of an older version. */
export function tooOld(name: string, facts: RunnerFacts, kind: JobKind): LazarusError {
  return new LazarusError(
    "runner-gone",
    `the runner ${name} (version ${facts.version}) does not know jobs of the kind ${kind}: upgrade it`,
    { retryable: true },
  );
}
