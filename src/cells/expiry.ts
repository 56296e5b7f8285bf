import type { Clock } from "../clock.ts";
import { toIso } from "../clock.ts";
import type { Config } from "../config/config.ts";
import type { Cell } from "./cell.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Deadlines } from "./registry/deadlines.ts";
import type { Guest } from "./registry/guests.ts";
import type { Registry } from "./registry/registry.ts";
import type { Steps } from "./steps/steps.ts";

export interface ExpiryDeps {
  readonly registry: Registry;
  readonly deadlines: Pick<Deadlines, "endingBefore" | "keptUntil">;
  readonly lifecycle: Pick<Lifecycle, "close" | "withdraw" | "destroy">;
  readonly steps: Pick<Steps, "card" | "mark">;
  readonly clock: Clock;
  readonly config: { readonly limits: Pick<Config["limits"], "keepMs"> };
}

/** Nobody is warned longer than this before the end. */
const LONGEST_WARNING_MS = 60 * 60_000;

/**
 * How long before its end a cell is warned whose TTL began `since` (epoch ms): a tenth of it, at most an
 * hour; an hour too where the clock was set to before that.
 */
export function warningMs(ttl: { readonly since: number; readonly expiresAt: number }): number {
  const ttlMs = ttl.expiresAt - ttl.since;
  return ttlMs <= 0 ? LONGEST_WARNING_MS : Math.min(LONGEST_WARNING_MS, ttlMs / 10);
}

/** One that came back from its archive began anew then. */
function beganAt(cell: Cell, registry: Registry): number {
  return registry.history(cell.id).findLast((row) => row.from === "archived")?.at ?? cell.createdAt;
}

/**
 * What time does to cells: those near the end of their TTL are warned of it, those past it are closed, or
 * withdrawn where they never started; archived ones that were kept long enough are destroyed. A cell that was
 * not warned in time, since Lazarus was down or the clock was set, is warned first and gets the time of a
 * warning. All of it is in rows, so that a restart neither forgets nor doubles it.
 */
export function lookAtTime(deps: ExpiryDeps): void {
  const now = deps.clock.now();
  const mayExpire = deps.deadlines
    .endingBefore(now + LONGEST_WARNING_MS)
    .filter((cell) => cell.closing === null && !gaveUpSince(cell, deps.registry));
  for (const cell of mayExpire) {
    if (cell.ttlWarnedFor !== cell.expiresAt) warn(cell, now, deps);
    else if (cell.expiresAt <= now) expire(cell, deps);
  }
  for (const guest of deps.registry.guests.overAt(now)) noteOver(guest, deps);
  if (deps.config.limits.keepMs === 0) return;
  for (const cell of deps.deadlines.keptUntil(now)) retain(cell, now, deps);
}

function warn(cell: Cell, now: number, { registry, steps }: ExpiryDeps): void {
  const before = warningMs({ since: beganAt(cell, registry), expiresAt: cell.expiresAt });
  if (cell.expiresAt - before > now) return;
  const expiresAt = Math.max(cell.expiresAt, Math.ceil(now + (cell.expiresAt <= now ? before : 0)));
  registry.transaction(() => {
    registry.update(cell.id, { expiresAt, ttlWarnedFor: expiresAt });
    steps.card(cell.id);
  });
}

/** A guest's time is over: card and directory say so. What that person may do was asked without this. */
function noteOver({ cellId, userId, login, until }: Guest, { registry, steps }: ExpiryDeps): void {
  if (until === null) return;
  registry.transaction(() => {
    registry.guests.end(cellId, userId, until);
    const cell = registry.mustCell(cellId);
    const { state } = cell;
    if (state === "archived" || state === "destroyed") return;
    const why = `the invitation of ${login} is over`;
    registry.remember(cellId, { at: until, from: state, to: state, who: "lazarus", why });
    steps.card(cellId);
    steps.mark(cellId);
  });
}

function expire(cell: Cell, { registry, lifecycle }: ExpiryDeps): void {
  const why = `its TTL passed at ${toIso(cell.expiresAt)}`;
  if (cell.state !== "proposed") {
    const closing = {
      by: "lazarus",
      discard: false,
      thenDestroy: false,
      outcome: "expired",
      person: null,
    } as const;
    lifecycle.close(cell, closing, why);
    return;
  }
  const run = registry.lastRun(cell.id);
  if (run?.state === "waiting") lifecycle.withdraw(cell, run, { who: "lazarus", why, outcome: "expired" });
}

/**
 * It was tried to close it after its TTL, and could not be: a person must look, and nothing is gained by
 * trying for ever.
 */
function gaveUpSince(cell: Cell, registry: Registry): boolean {
  return registry
    .history(cell.id)
    .some((row) => row.from === "closing" && row.to === "idle" && row.at >= cell.expiresAt);
}

/**
 * A machine that wakes up in the future is told so soon after its start; what was destroyed until then would
 * be gone.
 */
const CLOCK_MENDED_MS = 10 * 60_000;

/**
 * The longer of what was promised when it was archived and what is configured now counts: nobody loses a seal
 * by a change of the file.
 */
function retain(cell: Cell, now: number, { registry, lifecycle, steps, clock, config }: ExpiryDeps): void {
  if (cell.closing !== null) return;
  const last = registry.lastRun(cell.id);
  if (last?.state === "waiting" || last?.state === "admitted") return;
  const archivedAt = registry.history(cell.id).at(-1)?.at ?? now;
  const until = Math.max(cell.keepUntil ?? 0, archivedAt + config.limits.keepMs);
  if (until !== cell.keepUntil) {
    registry.transaction(() => {
      registry.update(cell.id, { keepUntil: until });
      if (cell.keepUntil !== null) steps.card(cell.id);
    });
  }
  const isClockMended = clock.machine().upMs >= CLOCK_MENDED_MS;
  if (until <= now && isClockMended) lifecycle.destroy(cell, "lazarus");
}
