import { LazarusError } from "../errors.ts";
import type { Outcome, RunnerJob } from "../protocol/runner-port.ts";
import { subjectOf } from "../protocol/subject.ts";

/** A job that a runner is asked to do, until it has answered. */
export interface Errand {
  readonly job: RunnerJob;
  readonly signal: AbortSignal;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

interface Entry extends Errand {
  /** When it was sent last, monotonic ms; null: never by this process. */
  sentAt: number | null;
  /** The runner may have it: it was sent, or an earlier start of control may have. */
  isThere: boolean;
}

interface Ref {
  readonly row: string;
  readonly attempt: number;
}

export interface ErrandDeps {
  now(): number;
  beatMs(): number;
  isHere(): boolean;
  send(errand: Errand): void;
  end(errand: Errand, why: string): void;
}

/** What a runner is asked to do and has not answered yet. */
export interface Errands {
  add(job: RunnerJob, signal: AbortSignal): Promise<Outcome>;
  find(row: string, attempt: number): Errand | null;
  settle(errand: Errand, how: () => void): void;
  /** Sends whatever may be sent now. */
  sendAll(): void;
  /** Sends again what is not there; answers what is there and nobody here waits for. */
  compare(beat: { readonly inHand: readonly Ref[]; readonly done: readonly Ref[] }): {
    readonly unknownInHand: readonly Ref[];
    readonly unknownDone: readonly Ref[];
  };
  /** The process that had them is gone. `all`: also what an earlier start of control may have sent there. */
  interrupted(all: boolean): void;
  giveUp(error: LazarusError): void;
  /** The same for what is about one cell, but that the runner lets go of it. */
  leave(cellId: string, error: LazarusError): void;
}

/** A pass is made anew while its job goes on, before it runs out. */
const FRESH_PASS_MS = 4 * 60_000;

export function createErrands(deps: ErrandDeps): Errands {
  const entries = new Map<string, Entry>();
  const keyOf = ({ row, attempt }: Ref) => `${row} ${attempt}`;
  const refOf = ({ job }: Errand): Ref => ({ row: job.id, attempt: job.attempt });
  const atWork = () => [...entries.values()].filter((one) => one.isThere && one.sentAt !== null);

  const send = (entry: Entry) => {
    if (entry.signal.aborted || !deps.isHere() || !mayBegin(entry)) return;
    entry.sentAt = deps.now();
    entry.isThere = true;
    deps.send(entry);
  };
  /** What may be what kills the runner is begun alone, and nothing beside it. */
  const mayBegin = (entry: Entry): boolean => {
    if (entry.sentAt !== null) return true;
    const others = atWork().filter((one) => one !== entry);
    return entry.job.isSuspect === true
      ? others.length === 0
      : !others.some((one) => one.job.isSuspect === true);
  };
  const settle = (entry: Errand, how: () => void) => {
    entries.delete(keyOf(refOf(entry)));
    how();
    sendAll();
  };
  const sendAll = () => {
    if (!deps.isHere()) return;
    for (const entry of entries.values()) if (entry.sentAt === null) send(entry);
  };

  return {
    add(job, signal) {
      return new Promise((resolve, reject) => {
        // A job in a later attempt, or of an earlier start of control, may be there already.
        const entry: Entry = { job, signal, resolve, reject, sentAt: null, isThere: false };
        entries.set(keyOf(refOf(entry)), entry);
        signal.addEventListener(
          "abort",
          () => {
            if (entries.get(keyOf(refOf(entry))) !== entry) return;
            deps.end(entry, wordsOf(signal.reason));
          },
          { once: true },
        );
        send(entry);
      });
    },
    find: (row, attempt) => entries.get(keyOf({ row, attempt })) ?? null,
    settle,
    sendAll,
    compare({ inHand, done }) {
      const [held, ended] = [new Set(inHand.map(keyOf)), new Set(done.map(keyOf))];
      for (const [key, entry] of [...entries]) {
        const age = deps.now() - (entry.sentAt ?? Number.NEGATIVE_INFINITY);
        const isThere = held.has(key) || ended.has(key);
        if (isThere) entry.isThere = true;
        if (entry.signal.aborted) {
          if (isThere) deps.end(entry, wordsOf(entry.signal.reason));
          // It never came there, or was lost on its way: nothing of it is at work.
          else if (age > deps.beatMs()) settle(entry, () => entry.reject(entry.signal.reason));
        } else if (ended.has(key) ? age > deps.beatMs() / 2 : age > (isThere ? FRESH_PASS_MS : deps.beatMs()))
          send(entry);
      }
      return {
        unknownInHand: inHand.filter((one) => !entries.has(keyOf(one))),
        unknownDone: done.filter((one) => !entries.has(keyOf(one))),
      };
    },
    interrupted(all) {
      const lost = [...entries.values()];
      const wasAlone = lost.filter((one) => one.isThere).length === 1;
      for (const entry of lost) {
        // What was never sent waits for the new process as it did for the old one.
        if (!all && !entry.isThere && !entry.signal.aborted) continue;
        entries.delete(keyOf(refOf(entry)));
        if (entry.signal.aborted) entry.reject(entry.signal.reason);
        else entry.reject(new RunnerRestarted(wasAlone && entry.isThere));
      }
    },
    leave(cellId, error) {
      for (const entry of [...entries.values()]) {
        if (entry.job.kind === "let-go" || subjectOf(entry.job.payload).cellId !== cellId) continue;
        settle(entry, () => entry.reject(error));
      }
    },
    giveUp(error) {
      for (const entry of [...entries.values()]) settle(entry, () => entry.reject(error));
    },
  };
}

/** The runner was started anew while it had a job in hand. */
export class RunnerRestarted extends LazarusError {
  /** Nothing else was at work there. */
  readonly wasAlone: boolean;

  constructor(wasAlone: boolean) {
    super("runner-restarted", "the runner was started anew while it was at work on this", {
      retryable: true,
    });
    this.wasAlone = wasAlone;
  }
}

function wordsOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
