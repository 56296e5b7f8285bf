import { LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { AnyReport, RunnerKind } from "../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../protocol/runner-port.ts";
import type { GitPass, HeardByRunner, WireFailure } from "./messages.ts";

type Do = Extract<HeardByRunner, { say: "do" }>;
interface Ref {
  readonly row: string;
  readonly attempt: number;
}

interface InHand {
  attempt: number;
  readonly text: string;
  readonly abort: AbortController;
  readonly settled: Promise<void>;
}

interface HandsDeps {
  readonly log: Pick<Log, "warn">;
  /** Rejects only where the message is too large. */
  say(message: object, id?: string): Promise<void>;
  perform(job: RunnerJob, signal: AbortSignal): Promise<Outcome>;
  failureOf(error: unknown, isEnd: boolean): WireFailure;
  passes(row: string, passes: readonly GitPass[] | null, sealPass: string | null): void;
  ended(job: RunnerJob, isOk: boolean): void;
}

/** What takes much of a machine is done by so few at a time. */
const MOST_AT_ONCE = 8;
const LIGHT: ReadonlySet<RunnerKind> = new Set(["stop", "scrub", "end-check", "mark", "tail"]);

/** The jobs that a runner has in hand, and what came of those that control has not written down yet. */
export function createHands({ log, say, perform, failureOf, passes, ended }: HandsDeps) {
  const inHand = new Map<string, InHand>();
  const done = new Map<string, { readonly attempt: number; readonly message: object }>();
  const lanes = new Map<string, Promise<void>>();
  const slots = createSlots(MOST_AT_ONCE);

  /** Never rejects. */
  async function work(row: string, job: RunnerJob, signal: AbortSignal): Promise<void> {
    let isOk = false;
    let end: { readonly reports: readonly AnyReport[] | null; readonly failure: WireFailure | null };
    const free = LIGHT.has(job.kind) ? () => {} : await slots.take();
    try {
      signal.throwIfAborted();
      const { reports } = await perform(job, signal);
      isOk = true;
      end = { reports, failure: null };
    } catch (error) {
      end = { reports: null, failure: failureOf(error, signal.aborted) };
    } finally {
      free();
    }
    const attempt = inHand.get(row)?.attempt ?? job.attempt;
    inHand.delete(row);
    passes(row, null, null);
    const id = `done-${row}-${attempt}`;
    const message = { say: "done", row, attempt, ...end };
    done.set(row, { attempt, message });
    try {
      ended(job, isOk);
      await say(message, id);
    } catch (error) {
      const failed = { say: "done", row, attempt, reports: null, failure: failureOf(error, false) };
      done.set(row, { attempt, message: failed });
      await say(failed, id);
    }
  }

  return {
    /**
     * Begins a job after the last of its lane. One that is in hand goes on; one that is done is answered
     * again.
     */
    async take(message: Do): Promise<void> {
      const { row, attempt, kind, key, payload, lane } = message;
      const before = done.get(row);
      if (before !== undefined && before.attempt === attempt) {
        await say(before.message, `done-${row}-${attempt}`);
        return;
      }
      if (before !== undefined && before.attempt > attempt) return;
      passes(row, message.passes, message.sealPass);
      const text = JSON.stringify([kind, payload]);
      const known = inHand.get(row);
      if (known !== undefined) {
        if (known.text === text) known.attempt = Math.max(known.attempt, attempt);
        else log.warn({ row, kind }, "asked for a job that is in hand with something else in it: it goes on");
        return;
      }
      done.delete(row);
      const abort = new AbortController();
      const job = { id: row, kind, key, payload, attempt } as unknown as RunnerJob;
      const turn = (lanes.get(lane) ?? Promise.resolve()).then(() => work(row, job, abort.signal));
      lanes.set(lane, turn);
      inHand.set(row, { attempt, text, abort, settled: turn });
      void turn.finally(() => {
        if (lanes.get(lane) === turn) lanes.delete(lane);
      });
    },
    end({ row, attempt, why }: Ref & { readonly why: string }): void {
      const one = inHand.get(row);
      if (one !== undefined && one.attempt <= attempt) one.abort.abort(new LazarusError("lease-lost", why));
    },
    forget(refs: readonly Ref[]): void {
      for (const { row, attempt } of refs) if (done.get(row)?.attempt === attempt) done.delete(row);
    },
    refs: () => ({ inHand: refsOf(inHand), done: refsOf(done) }),
    settled: () => Promise.allSettled([...inHand.values()].map((one) => one.settled)),
  };
}

function refsOf(of: ReadonlyMap<string, { readonly attempt: number }>): Ref[] {
  return [...of].map(([row, { attempt }]) => ({ row, attempt }));
}

/** So many at a time; whoever comes later waits in order. */
function createSlots(most: number): { take(): Promise<() => void> } {
  let free = most;
  const line: (() => void)[] = [];
  const give = () => {
    const next = line.shift();
    if (next === undefined) free++;
    else next();
  };
  return {
    async take() {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => line.push(resolve));
      return give;
    },
  };
}
