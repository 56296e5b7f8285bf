import type { Backend, Observation } from "../../backends/backend.ts";
import { runningMs } from "../../backends/os/running-time.ts";
import { logNameOf } from "../../cells/names.ts";
import { toIso } from "../../clock.ts";
import { explain } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { HeartbeatWords } from "../../protocol/runner-port.ts";
import { createSemaphore } from "../../semaphore.ts";
import { formatDuration } from "../../units.ts";
import { noteInDaemonLog, writeHeartbeat } from "../disk/directory.ts";
import { cutLog } from "../disk/log-cut.ts";
import { UsageReader } from "../usage/usage-reader.ts";
import { Pulse } from "./vital-signs.ts";
import type { RunLimits, WatchDeps, WatchedRun } from "./watch-deps.ts";

export type { Say, WatchedRun } from "./watch-deps.ts";

interface Entry {
  readonly running: WatchedRun;
  /** Monotonic. */
  readonly overAt: number;
  readonly pulse: Pulse;
  overReported: boolean;
  cutReported: boolean;
  stopped: string | null;
  isOver: boolean;
  check: Promise<void> | null;
}

const LOOK_MS = 300;
/** Each is a child that walks a tree, and a quarter of a megabyte of a log. */
const LOOKS_AT_ONCE = 8;

/**
 * Looks at every running run a few times a second, and reports what it sees: ended (once its leftovers are
 * gone or named), over its wall clock, log too long. It decides nothing. What could not be reported is
 * reported at the next look.
 */
export class Watch {
  readonly #deps: WatchDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #held = new Set<string>();
  /** Of cells whose run is being started: what its agent said before anybody knew that it runs. */
  readonly #early = new Map<string, HeartbeatWords | null>();
  readonly #slots = createSemaphore(LOOKS_AT_ONCE);
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  /** Adding what is watched already changes nothing. */
  add(running: WatchedRun): void {
    if (this.#closed || this.#entries.get(running.cellId)?.running.run === running.run) return;
    const { clock } = this.#deps;
    const limits = this.#deps.limitsOf(running.agent);
    // By the kernel's count: the wall clock may have been set while nobody looked.
    const elapsedMs = runningMs(running.handle) ?? Math.max(0, clock.now() - running.startedAt);
    this.#entries.set(running.cellId, {
      running,
      overAt: clock.monotonic() + limits.runMs - elapsedMs,
      pulse: this.#pulseOf(running, { limits, elapsedMs }),
      overReported: false,
      cutReported: false,
      stopped: null,
      isOver: false,
      check: null,
    });
    const words = this.#early.get(running.cellId) ?? null;
    this.#early.delete(running.cellId);
    if (words !== null) this.hear(running.cellId, words);
    this.#schedule();
  }

  /**
   * A run of that cell is being started, and its agent may be heard before `add` is called. The answered
   * function calls that off.
   */
  expect(cellId: string): () => void {
    this.#early.set(cellId, null);
    return () => this.#early.delete(cellId);
  }

  #pulseOf(running: WatchedRun, how: { readonly limits: RunLimits; readonly elapsedMs: number }): Pulse {
    const { cellId, run, agent } = running;
    const { limits, elapsedMs } = how;
    const deps = {
      ...this.#deps,
      cellDir: this.#deps.cellDir(cellId),
      logName: logNameOf(agent, run),
      limits,
      healthUrl: limits.healthUrl,
      slots: this.#slots,
      usage: new UsageReader({ cellDir: this.#deps.cellDir(cellId), run, agent, preset: limits.preset }),
    };
    return new Pulse(deps, { ...running, runningMs: elapsedMs, before: running.before });
  }

  /** Takes a heartbeat of an agent; false where no run of its cell is at work. */
  hear(cellId: string, words: HeartbeatWords): boolean {
    const entry = this.#entries.get(cellId);
    if (entry === undefined && this.#early.has(cellId)) this.#early.set(cellId, words);
    if (entry === undefined) return this.#early.has(cellId);
    if (entry.isOver || this.#held.has(cellId)) return false;
    entry.pulse.hear(words).catch((error: unknown) => {
      this.#deps.log.warn({ cell: cellId, why: explain(error) }, "a heartbeat could not be written down");
    });
    return true;
  }

  /** The run of a cell that is watched. */
  find(cellId: string): WatchedRun | null {
    return this.#entries.get(cellId)?.running ?? null;
  }

  remove(cellId: string, run?: number): void {
    if (run === undefined || this.#entries.get(cellId)?.running.run === run) this.#entries.delete(cellId);
  }

  /**
   * Leaves a cell alone until the answered function is called: somebody is stopping it. `why` is what its end
   * will be reported with, whoever reports it.
   */
  async hold(cellId: string, why: string): Promise<() => void> {
    this.#held.add(cellId);
    const entry = this.#entries.get(cellId);
    if (entry !== undefined) {
      await entry.check;
      await entry.pulse.rest();
      entry.stopped = why;
    }
    return () => this.#held.delete(cellId);
  }

  /** Stops looking; agents go on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await Promise.all([...this.#entries.values()].map((entry) => entry.check));
    await Promise.all([...this.#entries.values()].map((entry) => entry.pulse.rest()));
    this.#entries.clear();
  }

  #schedule(): void {
    if (this.#cancel !== null || this.#closed || this.#entries.size === 0) return;
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => {
      this.#cancel = null;
      for (const entry of this.#entries.values()) this.#look(entry);
      this.#schedule();
    });
  }

  #look(entry: Entry): void {
    const { cellId, run } = entry.running;
    if (entry.check !== null || this.#held.has(cellId)) return;
    entry.check = this.#check(entry)
      .catch((error: unknown) => {
        this.#deps.log.warn(
          { cell: cellId, run, why: explain(error) },
          "looking at a run failed; it is looked at again",
        );
      })
      .finally(() => {
        entry.check = null;
      });
  }

  async #check(entry: Entry): Promise<void> {
    const { handle } = entry.running;
    const backend = this.#deps.backends.get(handle.backend);
    if (backend === undefined) return;
    const seen = await backend.observe(handle);
    if (seen.kind !== "alive") return this.#over(entry, backend, seen);
    void entry.pulse.tick();
    this.#checkClock(entry);
    await this.#checkLog(entry);
  }

  async #over(entry: Entry, backend: Backend, seen: Exclude<Observation, { kind: "alive" }>): Promise<void> {
    entry.isOver = true;
    await entry.pulse.rest();
    try {
      await this.#ended(entry, backend, seen);
    } catch (error) {
      entry.pulse.sayDead(seen.kind);
      throw error;
    }
  }

  #checkClock(entry: Entry): void {
    const { cellId, run, agent } = entry.running;
    if (entry.overReported || this.#deps.clock.monotonic() < entry.overAt) return;
    const why = `over its wall clock of ${formatDuration(this.#deps.limitsOf(agent).runMs)}`;
    this.#deps.report(reportOf("over-limit", { cellId, run, limit: "time", why }));
    entry.overReported = true;
  }

  async #checkLog(entry: Entry): Promise<void> {
    const { cellId, run, agent } = entry.running;
    const { logBytes } = this.#deps.limitsOf(agent);
    const bytes = await cutLog(this.#deps.cellDir(cellId), logNameOf(agent, run), logBytes);
    if (bytes === null || entry.cutReported) return;
    this.#deps.report(reportOf("log-cut", { cellId, run, bytes }));
    entry.cutReported = true;
  }

  async #ended(entry: Entry, backend: Backend, seen: Exclude<Observation, { kind: "alive" }>): Promise<void> {
    const { cellId, run, agent, handle } = entry.running;
    const { clock, graceMs, log, cellDir } = this.#deps;
    const left = await backend.leftovers(cellId, handle);
    const leftovers = left.length === 0 ? [] : await backend.stop(handle, graceMs);
    await this.#deps.groups.remove(cellId);
    await this.#checkLog(entry).catch(() => {});
    const end = endOf(seen, clock.now());
    await noteEnd(cellDir(cellId), { run, agent, ...end, at: toIso(clock.now()) }).catch((error: unknown) => {
      log.warn({ cell: cellId, run, why: explain(error) }, "the end of a run could not be noted in its cell");
    });
    const refusedHosts = await this.#deps.closeGate(cellId);
    const payload = { cellId, run, began: true, ...end, stopped: entry.stopped, leftovers, refusedHosts };
    this.#deps.report(reportOf("run-ended", payload));
    log.info({ cell: cellId, run, agent, code: end.code, signal: end.signal }, "run ended");
    this.#entries.delete(cellId);
  }
}

/** How a run ended, as reports have it; nobody saw the end of what is gone. */
export function endOf(
  seen: Observation,
  now: number,
): { readonly endedAt: number; readonly code: number | null; readonly signal: string | null } {
  // The record lies where an agent with our rights may have written it: no run ends in the future.
  if (seen.kind === "exited")
    return { endedAt: Math.min(seen.endedAt, now), code: seen.code, signal: seen.signal };
  return { endedAt: now, code: null, signal: null };
}

/** Tells the cell's directory that its run is over. */
export async function noteEnd(
  cellDir: string,
  end: {
    readonly at: string;
    readonly run: number;
    readonly agent: string;
    readonly code: number | null;
    readonly signal: string | null;
  },
): Promise<void> {
  const how =
    end.signal !== null ? `signal ${end.signal}` : end.code !== null ? `exit ${end.code}` : "nobody saw how";
  await writeHeartbeat(cellDir, {
    at: end.at,
    state: "ended",
    by: "runner",
    message: `run ${end.run} of ${end.agent}: ${how}`,
  });
  await noteInDaemonLog(cellDir, { what: "run ended", ...end });
}
