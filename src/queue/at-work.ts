import type { Clock } from "../clock.ts";
import { LazarusError } from "../errors.ts";
import type { JobKind, QueueName } from "../protocol/jobs.ts";
import type { NamedLease } from "./job-row.ts";
import type { JobLog } from "./joblog.ts";
import { fullKinds } from "./places.ts";

/** A job whose handler has not settled yet. */
export interface Running {
  readonly claim: NamedLease;
  readonly queue: QueueName;
  readonly kind: JobKind;
  readonly lane: string;
  readonly abort: AbortController;
  readonly settled: Promise<void>;
  /** Epoch ms until which nothing is begun beside it; 0: whatever comes may be. */
  readonly aloneUntil: number;
  /** A runner on another host does it. */
  readonly isElsewhere: boolean;
}

/** The jobs that handlers of this process are at work on, and the lanes that no row holds for them. */
export interface AtWork {
  readonly size: number;
  /** The job log, which tells here of every row that a lease of ours leaves. */
  readonly jobs: JobLog;
  add(one: Running): void;
  delete(lease: string): void;
  all(): Running[];
  /** Without what a runner elsewhere does: that goes on there, and is asked for at the next start. */
  here(): Running[];
  /** How many of a queue are done here. */
  countIn(queue: QueueName): number;
  isElsewhere(lease: string): boolean;
  /** Nothing is done here. */
  isIdleHere(): boolean;
  /** Kinds of which no further one is to be begun, beside these that are about to. */
  full(claimed?: readonly string[]): JobKind[];
  isAlone(now: number): boolean;
  /**
   * Lanes of handlers that are still at work although their row is no longer running: it was ended, or taken
   * over. Every other busy lane is held by its row.
   */
  heldByNoRow(queue: QueueName): string[];
  abort(ids: ReadonlySet<string>, why: string): void;
}

export function createAtWork(log: JobLog): AtWork {
  const running = new Map<string, Running>();
  const counts = new Map<QueueName | JobKind, number>();
  const count = ({ queue, kind, isElsewhere }: Running, by: number) => {
    if (isElsewhere) return;
    for (const of of [queue, kind]) counts.set(of, (counts.get(of) ?? 0) + by);
  };
  /** By lease. Few: what is here settles at once, or was aborted. */
  const left = new Map<string, Running>();
  const suspects = new Set<Running>();
  const leave = <T>(claim: NamedLease, outcome: T): T => {
    const one = running.get(claim.lease);
    if (one !== undefined) left.set(claim.lease, one);
    return outcome;
  };
  return {
    get size() {
      return running.size;
    },
    jobs: {
      ...log,
      done: (claim, at) => leave(claim, log.done(claim, at)),
      putOff: (claim, because, inOutage) => leave(claim, log.putOff(claim, because, inOutage)),
      dead: (claim, because) => leave(claim, log.dead(claim, because)),
      giveBack: (claim) => leave(claim, log.giveBack(claim)),
    },
    add(one) {
      running.set(one.claim.lease, one);
      count(one, 1);
      if (one.aloneUntil > 0) suspects.add(one);
    },
    delete(lease) {
      const one = running.get(lease);
      if (one === undefined) return;
      running.delete(lease);
      left.delete(lease);
      suspects.delete(one);
      count(one, -1);
    },
    all: () => [...running.values()],
    here: () => [...running.values()].filter((one) => !one.isElsewhere),
    countIn: (queue) => counts.get(queue) ?? 0,
    isElsewhere: (lease) => running.get(lease)?.isElsewhere === true,
    isIdleHere: () => [...counts.values()].every((n) => n === 0),
    full: (claimed = []) =>
      fullKinds((kind) => (counts.get(kind) ?? 0) + claimed.filter((one) => one === kind).length),
    isAlone: (now) => [...suspects].some((one) => one.aloneUntil > now),
    heldByNoRow: (queue) => [...left.values()].filter((one) => one.queue === queue).map((one) => one.lane),
    abort(ids, why) {
      for (const [lease, one] of running) {
        if (!ids.has(one.claim.id)) continue;
        left.set(lease, one);
        one.abort.abort(new LazarusError("lease-lost", why));
      }
    },
  };
}

/** Waits until all of these have settled, or for so long. */
export async function settledOrLate(jobs: readonly Running[], clock: Clock, mostMs: number): Promise<void> {
  if (jobs.length === 0) return;
  let cancel = () => {};
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(mostMs, resolve);
  });
  await Promise.race([late, Promise.allSettled(jobs.map((one) => one.settled))]);
  cancel();
}
