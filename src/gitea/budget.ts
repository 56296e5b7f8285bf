import type { Clock } from "../clock.ts";
import { LazarusError } from "../errors.ts";

/** What a call is for: a question, something that somebody waits for, or a card and its like. */
export type CallKind = "read" | "answer" | "card";

/** Writes at once: a small forge stores about 50 comments a second, and answers people meanwhile. */
const MOST_WRITES = 4;
/** Cards leave one of them to answers. */
const MOST_CARDS = MOST_WRITES - 1;
/** A call that would have to wait longer is left to whoever tries it again later. */
const LONGEST_WAIT_MS = 10_000;
/** However long the forge asks for. */
const LONGEST_PAUSE_MS = 5 * 60_000;

/** How much is asked of a forge at once. */
export interface Budget {
  /**
   * Settles when the call may be sent, with what is to be called once it has settled; answers come before
   * cards, each in order.
   * @throws LazarusError `forge-unreachable` (retryable) where the forge asked to be left alone for longer.
   */
  take(kind: CallKind, doing: string): Promise<() => void>;
  /** The forge said 429: every call of that kind waits so long (ms). */
  pause(kind: CallKind, ms: number): void;
}

interface Waiting {
  readonly kind: "answer" | "card";
  readonly begin: () => void;
}

export function createBudget(clock: Clock): Budget {
  const waiting: Waiting[] = [];
  const inFlight = { answer: 0, card: 0 };
  const until = { read: 0, write: 0 };
  let cancel = () => {};
  const groupOf = (kind: CallKind) => (kind === "read" ? "read" : "write");
  const restMs = (kind: CallKind) => until[groupOf(kind)] - clock.monotonic();

  const mayBegin = (kind: "answer" | "card") =>
    inFlight.answer + inFlight.card < MOST_WRITES && (kind === "answer" || inFlight.card < MOST_CARDS);

  const beginNext = () => {
    cancel();
    const pausedMs = restMs("answer");
    if (pausedMs > 0) {
      if (waiting.length > 0) cancel = clock.after(pausedMs, beginNext);
      return;
    }
    for (const kind of ["answer", "card"] as const) {
      for (let next = at(kind); next >= 0 && mayBegin(kind); next = at(kind)) {
        const [one] = waiting.splice(next, 1);
        inFlight[kind]++;
        one?.begin();
      }
    }
  };
  const at = (kind: "answer" | "card") => waiting.findIndex((one) => one.kind === kind);

  const leftAlone = (doing: string, ms: number) =>
    new LazarusError(
      "forge-unreachable",
      `${doing}: the forge asked to be left alone for ${Math.ceil(ms / 1_000)} s more (429)`,
      { retryable: true },
    );

  return {
    async take(kind, doing) {
      const pausedMs = restMs(kind);
      if (pausedMs > LONGEST_WAIT_MS) throw leftAlone(doing, pausedMs);
      if (kind === "read") {
        if (pausedMs > 0) await new Promise<void>((resolve) => clock.after(pausedMs, resolve));
        return () => {};
      }
      await new Promise<void>((resolve) => {
        waiting.push({ kind, begin: resolve });
        beginNext();
      });
      let isDone = false;
      return () => {
        if (isDone) return;
        isDone = true;
        inFlight[kind]--;
        beginNext();
      };
    },
    pause(kind, ms) {
      const group = groupOf(kind);
      until[group] = Math.max(until[group], clock.monotonic() + Math.min(ms, LONGEST_PAUSE_MS));
    },
  };
}
