import type { Health } from "../../cells/cell.ts";

/**
 * What was seen of a run at one look. Times are monotonic milliseconds, so that no wall clock can make
 * anybody look dead.
 */
export interface Signals {
  readonly process: "alive" | "exited" | "gone";
  readonly startedAt: number;
  /** When its log last grew; null: it never printed anything. */
  readonly outputAt: number | null;
  /** When something in its tree last changed; null: nothing did since it started. */
  readonly changedAt: number | null;
  /** False: the tree could not be looked at in time. */
  readonly isTreeSeen: boolean;
  /** Its own last heartbeat; null: it never sent one. */
  readonly beatAt: number | null;
  /** Why its gateway does not answer; null: it does, or there is none. */
  readonly gatewayFault: string | null;
  /** What it does again and again, and since when. */
  readonly loop: { readonly what: string; readonly since: number } | null;
}

export interface HealthLimits {
  /** Without any sign of life for so long: quiet. */
  readonly quietMs: number;
  /** And for so long: stalled. */
  readonly stalledMs: number;
}

export interface Assessment {
  readonly health: Health;
  /** Never empty, and the same as long as nothing new is to be said. */
  readonly reason: string;
  /** Since when it has been so; monotonic. */
  readonly since: number;
  /** Its last sign of life; monotonic. */
  readonly seenAt: number;
}

/**
 * How a run is, and why. Any sign of life counts (output, a change in the tree, a heartbeat); only one that
 * repeats itself is told apart from one that works. Pure: `before` is what was said last, whose `since` is
 * kept while the health is the same.
 */
export function assess(
  signals: Signals,
  at: { readonly now: number; readonly before: Pick<Assessment, "health" | "since"> | null },
  limits: HealthLimits,
): Assessment {
  const { now, before } = at;
  const seenAt = Math.max(
    signals.startedAt,
    signals.outputAt ?? signals.startedAt,
    signals.changedAt ?? signals.startedAt,
    signals.beatAt ?? signals.startedAt,
  );
  const found = assessSigns(signals, { now, seenAt }, limits);
  const since = before?.health === found.health ? before.since : Math.min(found.since, now);
  return { health: found.health, reason: found.reason, since, seenAt };
}

function assessSigns(
  signals: Signals,
  { now, seenAt }: { readonly now: number; readonly seenAt: number },
  limits: HealthLimits,
): Pick<Assessment, "health" | "reason" | "since"> {
  if (signals.process !== "alive") {
    const reason =
      signals.process === "gone" ? "its process is gone without an exit record" : "its process has ended";
    return { health: "dead", reason, since: now };
  }
  const isFresh = (when: number | null) => when !== null && now - when < limits.quietMs;
  // What repeats itself must still be at it: a loop that fell silent is silent.
  if (signals.loop !== null && isFresh(signals.outputAt))
    return { health: "looping", reason: signals.loop.what, since: signals.loop.since };
  const silentMs = now - seenAt;
  if (silentMs >= limits.stalledMs)
    return { health: "stalled", reason: silence(signals), since: seenAt + limits.stalledMs };
  if (silentMs >= limits.quietMs)
    return { health: "quiet", reason: silence(signals), since: seenAt + limits.quietMs };
  const signs = [
    ...(isFresh(signals.outputAt) ? ["output"] : []),
    ...(isFresh(signals.changedAt) ? ["changes in its tree"] : []),
    ...(isFresh(signals.beatAt) ? ["heartbeats"] : []),
  ];
  const reason = signs.length === 0 ? "it has just started" : signs.join(", ");
  return { health: "healthy", reason, since: now };
}

function silence(signals: Signals): string {
  return [
    "no output",
    signals.isTreeSeen ? "no change" : "its tree could not be looked at",
    ...(signals.gatewayFault !== null ? [`its gateway does not answer: ${signals.gatewayFault}`] : []),
    ...(signals.beatAt !== null ? ["no heartbeat"] : []),
    "process alive",
  ].join(", ");
}
