import type { Harvest } from "../protocol/shapes.ts";

/** What became of a run, as far as can be told from what it left. */
export const EXIT_CLASSES = [
  "done",
  "nothing-changed",
  "question",
  "quota",
  "not-logged-in",
  "no-credit",
  "cannot-run",
  "crashed",
  "over-limit",
  "stopped",
  "machine",
  "lost",
] as const;
export type ExitClass = (typeof EXIT_CLASSES)[number];

/** Why a run was ended by Lazarus, or never began. */
export const STOP_CAUSES = [
  "asked",
  "told",
  "closed",
  "over-limit",
  "destroyed",
  "refused",
  "not-set-up",
] as const;
export type StopCause = (typeof STOP_CAUSES)[number];

/**
 * What follows by itself: `publish` what there is; `ask` a person at once, and publish; try again with
 * `backoff`, or `at-reset`, and publish only when it is not tried again any more.
 */
export type Follows = "publish" | "ask" | "backoff" | "at-reset";

/**
 * Each class: how people are told of it, what it is read from, and what follows. The table of docs/runs.md is
 * made from this.
 */
export const EXITS: Readonly<
  Record<ExitClass, { readonly words: string; readonly evidence: string; readonly follows: Follows }>
> = {
  done: {
    words: "done",
    evidence: "exit 0, no error in the agent's last event, and work in git",
    follows: "publish",
  },
  "nothing-changed": {
    words: "nothing changed",
    evidence: "exit 0, no error in the agent's last event, no new work in git",
    follows: "publish",
  },
  question: {
    words: "asked a question",
    evidence: "`artifacts/question.md` written during the run, or `asks` in `artifacts/heartbeat.json`",
    follows: "ask",
  },
  quota: {
    words: "quota or rate limit",
    evidence:
      "a usage limit, quota or 429 in its last event or the end of its log; with exit 0 only where it brought nothing new",
    follows: "at-reset",
  },
  "not-logged-in": {
    words: "not logged in",
    evidence:
      "401, a bad or missing key in its last event or the end of its log, or the exit code that stands for it; with exit 0 only where it brought nothing new",
    follows: "ask",
  },
  "no-credit": {
    words: "no credit",
    evidence:
      "402, a balance that is too low, a quota that only a payment lifts, in its last event or the end of its log; with exit 0 only where it brought nothing new",
    follows: "ask",
  },
  "cannot-run": {
    words: "cannot be run",
    evidence: "exit 126 or 127, or a code of the agent's own for wrong input or settings",
    follows: "ask",
  },
  crashed: {
    words: "crashed",
    evidence: "any other exit code or signal, or an error in its last event whatever the code",
    follows: "backoff",
  },
  "over-limit": {
    words: "over a limit",
    evidence:
      "ended by Lazarus over its wall clock, disk or budget, by the kernel at `limits.memory` of its control group, or by itself at its own limit of turns or money",
    follows: "ask",
  },
  stopped: { words: "stopped", evidence: "ended by a person: `stop`, `close`", follows: "publish" },
  machine: {
    words: "killed by the machine",
    evidence:
      "KILL while the kernel's count of out-of-memory kills grew, or the machine was started anew since",
    follows: "backoff",
  },
  lost: {
    words: "lost",
    evidence: "gone without an exit record, on the same boot of the machine",
    follows: "backoff",
  },
};

/** What a run turned out to be, and from what that was read. */
export interface Exit {
  readonly class: ExitClass;
  /** What it was read from, in words for people: `exit 3`, `the machine ran out of memory`. */
  readonly why: string;
  /** The agent's own words about it; null where it said none. */
  readonly says: string | null;
  /** Epoch ms; only of `quota`, null where it was not told. */
  readonly resetsAt: number | null;
}

/** Gemini's, and those of qwen, which was made from it. */
const OF_GEMINI: Readonly<Record<number, ExitClass>> = {
  41: "not-logged-in",
  145: "not-logged-in",
  147: "not-logged-in",
  173: "quota",
  42: "cannot-run",
  52: "cannot-run",
  53: "over-limit",
  55: "cannot-run",
};

/**
 * Codes that say more than "it failed", of the agents whose presets bear these names. A forge's or model's
 * status is cut to its low byte.
 */
const CODES: Readonly<Record<string, Readonly<Record<number, ExitClass>>>> = {
  gemini: OF_GEMINI,
  qwen: OF_GEMINI,
};

export interface Ended {
  /** As `Run` has them. */
  readonly run: {
    readonly code: number | null;
    readonly signal: string | null;
    readonly stopped: string | null;
    readonly stopCause: StopCause | null;
    /** It goes on with the work of the run before it. */
    readonly isAutomatic: boolean;
  };
  readonly preset: string | null;
  readonly harvest: Pick<Harvest, "changed" | "question" | "signs">;
  /** Whether this run added anything to what earlier ones had made. */
  readonly isNew: boolean;
}

/**
 * Reads from what a run left what became of it. Pure. No text of an agent makes it `done`: that takes an exit
 * code of 0 and work in git; and no exit code does either while its own last event tells of an error.
 */
export function exitOf(ended: Ended): Exit {
  const { run, preset, harvest, isNew } = ended;
  const signs = harvest.signs;
  if (run.stopped !== null)
    return exit(run.stopCause === "over-limit" ? "over-limit" : "stopped", run.stopped);
  if (harvest.question !== null) return exit("question", "it asks a question");
  const isGone = run.code === null && run.signal === null;
  if (signs?.isRebooted && (isGone || run.signal !== null))
    return exit("machine", "the machine was started anew");
  if (signs?.isOverMemory && (isGone || run.signal === "KILL"))
    return exit("over-limit", "over its limit of memory (limits.memory)");
  if (signs?.isOutOfMemory && (isGone || run.signal === "KILL"))
    return exit("machine", "the machine ran out of memory");
  if (isGone) return exit("lost", "it is gone without an exit record");
  if (signs?.ownLimit != null) return exit("over-limit", `over ${signs.ownLimit}`);

  const isFailed = run.code !== 0 || signs?.event === "failed";
  const isIdle = !isNew && signs?.event !== "ok";
  const byCode = CODES[preset ?? ""]?.[run.code ?? -1];
  const end = run.signal !== null ? `signal ${run.signal}` : `exit ${run.code}`;
  if (signs !== null && (isFailed || isIdle)) {
    if (signs.quota !== null)
      return { ...exit("quota", end, signs.quota.words), resetsAt: signs.quota.resetsAt };
    if (signs.credit !== null) return exit("no-credit", end, signs.credit);
    if (signs.login !== null) return exit("not-logged-in", end, signs.login);
  }
  if (byCode !== undefined) return exit(byCode, end);
  if (run.code === 126 || run.code === 127) return exit("cannot-run", end);
  const isWorth = harvest.changed && (isNew || run.isAutomatic);
  if (!isFailed) return exit(isWorth ? "done" : "nothing-changed", end);
  return exit("crashed", end, signs?.event === "failed" ? signs.says : "");
}

function exit(kind: ExitClass, why: string, says = ""): Exit {
  return { class: kind, why, says: says === "" ? null : says, resetsAt: null };
}
