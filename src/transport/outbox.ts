import { LazarusError } from "../errors.ts";
import type { AnyReport } from "../protocol/reports.ts";

interface OutboxDeps {
  now(): number;
  readonly beatMs: number;
  say(message: object, id?: string): Promise<void>;
}

/** As many as may wait for control: what is seen beyond them is seen again. */
const MOST_WAITING = 5_000;
const MOST_AT_ONCE = 20;

/** What a runner has seen by itself, until control has written it down. */
export function createOutbox({ now, beatMs, say }: OutboxDeps) {
  const waiting = new Map<string, { readonly report: AnyReport; sentAt: number }>();
  const sendAll = async (isDue: (one: { sentAt: number }) => boolean) => {
    const due = [...waiting.values()].filter(isDue);
    for (let at = 0; at < due.length; at += MOST_AT_ONCE) {
      const some = due.slice(at, at + MOST_AT_ONCE);
      for (const one of some) one.sentAt = now();
      await say({ say: "report", reports: some.map((one) => one.report) });
    }
  };
  return {
    put(report: AnyReport): void {
      // Of how a run is only the last is of interest.
      const place =
        report.kind === "health" || report.kind === "used"
          ? `${report.kind} ${report.payload.cellId}`
          : report.key;
      if (!waiting.has(place) && waiting.size >= MOST_WAITING)
        throw new LazarusError("queue-unreachable", "too many reports wait for control", { retryable: true });
      waiting.set(place, { report, sentAt: Number.NEGATIVE_INFINITY });
      void sendAll((one) => one.sentAt === Number.NEGATIVE_INFINITY);
    },
    /** Says again what control has not confirmed. */
    again: () => sendAll((one) => now() - one.sentAt >= beatMs),
    taken(keys: readonly string[]): void {
      const said = new Set(keys);
      for (const [place, { report }] of waiting) if (said.has(report.key)) waiting.delete(place);
    },
  };
}
