import type { Backend, BackendName, Handle, Observation } from "../../backends/backend.ts";
import type { CellGroups } from "../../backends/os/groups/cell-groups.ts";
import { runningMs } from "../../backends/os/running-time.ts";
import { logNameOf, SETUP_LOG } from "../../cells/names.ts";
import { type Clock, toIso } from "../../clock.ts";
import type { Config } from "../../config/config.ts";
import { explain } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { WatchedSetup } from "../../protocol/runner-port.ts";
import type { SetupEnd } from "../../protocol/shapes.ts";
import { formatDuration, formatSize } from "../../units.ts";
import { unknownAgent } from "../confinement.ts";
import { writeHeartbeat } from "../disk/directory.ts";
import { cutLog } from "../disk/log-cut.ts";
import { readLogEnd } from "../disk/log-tail.ts";
import type { Gates } from "../gates.ts";
import { diskUse } from "../health/disk-use.ts";
import type { Say } from "../health/watch-deps.ts";
import { note } from "../journal.ts";
import { type Left, lookAtTree } from "./after-setup.ts";
import { type SetupDeps, setupSurroundings } from "./start-setup.ts";

/** A setup that is at work, for a run of a cell. */
export interface SettingUp extends Omit<WatchedSetup, "handle"> {
  readonly handle: Handle;
}

export interface SetupWatchDeps extends Omit<SetupDeps, "config" | "gates"> {
  readonly config: Pick<Config, "agents" | "limits" | "pit" | "dataDir" | "childPath">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  readonly gates: Pick<Gates, "close">;
  readonly groups: Pick<CellGroups, "remove">;
  readonly redact: (text: string) => string;
  readonly report: Say;
}

interface Entry {
  readonly one: SettingUp;
  /** Monotonic. */
  readonly overAt: number;
  scannedAt: number;
  stopped: string | null;
  check: Promise<void> | null;
}

const LOOK_MS = 300;
const TAIL_BYTES = 8 * 1024;
const TAIL_LINES = 30;
const DEFAULT_LOG_BYTES = 50 * 1024 ** 2;
const NOTHING_LEFT: Left = { changed: [], untracked: [] };

/**
 * Looks at every setup a few times a second, ends what is over its limit or fills the disk, and reports the
 * end. What could not be reported is reported at the next look. It is no run yet: silence is no fault of it.
 */
export class SetupWatch {
  readonly #deps: SetupWatchDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #held = new Set<string>();
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(deps: SetupWatchDeps) {
    this.#deps = deps;
  }

  /** Adding what is watched already changes nothing. */
  add(one: SettingUp): void {
    const { id } = one.cell;
    if (this.#closed || this.#entries.get(id)?.one.run === one.run) return;
    const { clock } = this.#deps;
    const elapsedMs = runningMs(one.handle) ?? Math.max(0, clock.now() - one.setup.startedAt);
    this.#entries.set(id, {
      one,
      overAt: clock.monotonic() + one.setup.limitMs - elapsedMs,
      scannedAt: Number.NEGATIVE_INFINITY,
      stopped: null,
      check: null,
    });
    this.#schedule();
  }

  /** The setup of a cell that is at work. */
  find(cellId: string): SettingUp | null {
    return this.#entries.get(cellId)?.one ?? null;
  }

  remove(cellId: string): void {
    this.#entries.delete(cellId);
  }

  /** Leaves a cell alone until the answered function is called: somebody is stopping it. */
  async hold(cellId: string): Promise<() => void> {
    this.#held.add(cellId);
    await this.#entries.get(cellId)?.check;
    return () => this.#held.delete(cellId);
  }

  /** Stops looking; setups go on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await Promise.all([...this.#entries.values()].map((entry) => entry.check));
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
    const { cell, run } = entry.one;
    if (entry.check !== null || this.#held.has(cell.id)) return;
    entry.check = this.#check(entry)
      .catch((error: unknown) => {
        const facts = { cell: cell.id, run, error: explain(error) };
        this.#deps.log.warn(facts, "looking at a setup failed; it is looked at again");
      })
      .finally(() => {
        entry.check = null;
      });
  }

  async #check(entry: Entry): Promise<void> {
    const { backends, clock, config } = this.#deps;
    const { handle, setup } = entry.one;
    const backend = backends.get(handle.backend);
    if (backend === undefined) return;
    const seen = await backend.observe(handle);
    if (seen.kind !== "alive") return this.#ended(entry, backend, seen);
    await this.#cutLog(entry);
    if (clock.monotonic() - entry.scannedAt >= config.pit.scanMs) await this.#scan(entry);
    if (clock.monotonic() >= entry.overAt) entry.stopped ??= overLimit(setup.limitMs);
    if (entry.stopped !== null) await backend.stop(handle, config.limits.graceMs);
  }

  /** Says that somebody is at work, and looks what it fills. */
  async #scan(entry: Entry): Promise<void> {
    const { cellDir, clock, config, log } = this.#deps;
    const { cell, setup } = entry.one;
    entry.scannedAt = clock.monotonic();
    const message = setup.command.slice(0, 200);
    await writeHeartbeat(cellDir(cell.id), {
      ...{ at: toIso(clock.now()), state: "setting-up", by: "runner", message },
    }).catch((error: unknown) => {
      log.warn({ cell: cell.id, error: explain(error) }, "the heartbeat could not be written");
    });
    const used = await diskUse(cellDir(cell.id));
    const most = config.limits.diskBytes;
    if (used !== null && used.bytes > most)
      entry.stopped ??= `over its disk of ${formatSize(most)}: ${formatSize(used.bytes)}`;
  }

  async #cutLog({ one }: Entry): Promise<void> {
    const { cellDir, config } = this.#deps;
    const most = config.agents.get(one.agent)?.limits.logBytes ?? DEFAULT_LOG_BYTES;
    await cutLog(cellDir(one.cell.id), logNameOf(SETUP_LOG, one.run), most);
  }

  async #ended(entry: Entry, backend: Backend, seen: Exclude<Observation, { kind: "alive" }>): Promise<void> {
    const { clock, config, gates, log, report } = this.#deps;
    const { cell, run, handle, setup } = entry.one;
    const left = await backend.leftovers(cell.id, handle);
    const leftovers = left.length === 0 ? [] : await backend.stop(handle, config.limits.graceMs);
    await this.#deps.groups.remove(cell.id);
    await this.#cutLog(entry).catch(() => {});
    const how = endOf(seen, clock.now());
    const isOver = how.signal !== null && how.endedAt - setup.startedAt >= setup.limitMs;
    const stopped = entry.stopped ?? (isOver ? overLimit(setup.limitMs) : null);
    const isGood = how.code === 0 && stopped === null;
    const end: SetupEnd = {
      ...how,
      stopped,
      tail: isGood ? "" : await this.#tail(entry.one),
      refusedHosts: await gates.close(cell.id),
      leftovers: leftovers.map(({ pid, command }) => `${pid} ${command}`),
      ...(isGood ? await this.#lookAtTree(entry.one, backend) : NOTHING_LEFT),
    };
    const { code, signal } = end;
    await note(this.#deps, cell.id, { what: "setup ended", run, code, signal, stopped });
    report(reportOf("setup-ended", { cellId: cell.id, run, end }));
    log.info({ cell: cell.id, run, code, signal, stopped }, "setup ended");
    this.#entries.delete(cell.id);
  }

  async #tail({ cell, run }: SettingUp): Promise<string> {
    const { cellDir, redact } = this.#deps;
    const how = { maxBytes: TAIL_BYTES, redact };
    const { text } = await readLogEnd(cellDir(cell.id), logNameOf(SETUP_LOG, run), how);
    return text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  }

  /** What cannot be looked at is said in our own log: the setup is no worse for it. */
  async #lookAtTree({ cell, agent, setup }: SettingUp, backend: Backend): Promise<Left> {
    const { config, log, redact } = this.#deps;
    const confines = config.agents.get(agent) ?? unknownAgent(agent);
    const around = setupSurroundings(this.#deps, cell, { confines, network: setup.network, set: {} });
    return lookAtTree(backend, around, { dir: config.dataDir, redact }).catch((error: unknown) => {
      log.warn({ cell: cell.id, error: explain(error) }, "the tree could not be looked at after its setup");
      return NOTHING_LEFT;
    });
  }
}

function overLimit(limitMs: number): string {
  return `over its limit of ${formatDuration(limitMs)}`;
}

function endOf(
  seen: Exclude<Observation, { kind: "alive" }>,
  now: number,
): Pick<SetupEnd, "endedAt" | "code" | "signal"> {
  if (seen.kind === "gone") return { endedAt: now, code: null, signal: null };
  return { endedAt: Math.min(seen.endedAt, now), code: seen.code, signal: seen.signal };
}
