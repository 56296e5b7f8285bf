/** A clock that is off by less is as good as ours: a message takes its time, too. */
const NO_SKEW_MS = 2_000;
const TIMES = ["startedAt", "endedAt", "since", "seenAt"] as const;

type Said = Readonly<Record<string, unknown>>;

/** What a runner says of times, as our clock had them. `skewMs`: its clock less ours. */
export function inOurTime(payload: unknown, skewMs: number): unknown {
  if (Math.abs(skewMs) < NO_SKEW_MS || typeof payload !== "object" || payload === null) return payload;
  const own: Said = { ...payload };
  const moved = TIMES.flatMap((name) => {
    const at = own[name];
    return typeof at === "number" ? [[name, at - skewMs] as const] : [];
  });
  const setup = typeof own.setup === "object" ? { setup: inOurTime(own.setup, skewMs) } : {};
  return { ...own, ...setup, ...Object.fromEntries(moved) };
}
