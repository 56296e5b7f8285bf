import type { Backend, BackendName, Handle, Observation } from "../../backends/backend.ts";
import type { CellGroups } from "../../backends/os/groups/cell-groups.ts";
import { runningMs } from "../../backends/os/running-time.ts";
import { type Clock, toIso } from "../../clock.ts";
import type { Config } from "../../config/config.ts";
import { explain } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { CheckEnd } from "../../protocol/checks.ts";
import type { AnyReport } from "../../protocol/reports.ts";
import type { CellSpec } from "../../protocol/shapes.ts";
import { formatDuration, formatSize } from "../../units.ts";
import { writeHeartbeat } from "../disk/directory.ts";
import { cutLog } from "../disk/log-cut.ts";
import { readLogEnd } from "../disk/log-tail.ts";
import type { Gates } from "../gates.ts";
import { diskUse } from "../health/disk-use.ts";
import type { Say } from "../health/watch-deps.ts";
import { note } from "../journal.ts";

/** A command that is at work in a cell while no agent is: what sets it up, or checks what was pushed. */
export interface CommandAtWork {
  readonly cell: Pick<CellSpec, "id" | "repository" | "user">;
  /** Tells it from every other command of its cell: `setup 3`, `check 7`. */
  readonly key: string;
  /** Whose isolation and limits it has. */
  readonly agent: string;
  readonly command: string;
  readonly limitMs: number;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly handle: Handle;
  /** Its file below `logs/`. */
  readonly log: string;
  /** What the cell's own log says of its end, such as `setup ended`. */
  readonly noted: { readonly what: string } & Readonly<Record<string, number | string>>;
  /** What the heartbeat says meanwhile: `setting-up`, `checking`. */
  readonly beat: string;
  /** What is reported of its end. */
  reportOf(end: CommandEnd, backend: Backend): Promise<AnyReport>;
}

export type CommandEnd = CheckEnd;

export interface CommandWatchDeps {
  readonly config: Pick<Config, "agents" | "limits" | "pit">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  readonly gates: Pick<Gates, "close">;
  readonly groups: Pick<CellGroups, "remove" | "memoryKills">;
  readonly cellDir: (cellId: string) => string;
  readonly redact: (text: string) => string;
  readonly report: Say;
}

interface Entry {
  readonly one: CommandAtWork;
  /** Monotonic. */
  readonly overAt: number;
  scannedAt: number;
  stopped: string | null;
  check: Promise<void> | null;
}

const LOOK_MS = 300;
const TAIL_BYTES = 8 * 1024;
const TAIL_LINES = 60;
const DEFAULT_LOG_BYTES = 50 * 1024 ** 2;

/**
 * Looks at every command a few times a second, ends what is over its limit or fills the disk, and reports the
 * end. What could not be reported is reported at the next look. Silence is no fault of a command.
 */
export class CommandWatch {
  readonly #deps: CommandWatchDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #held = new Set<string>();
  #cancel: (() => void) | null = null;
  #closed = false;

  constructor(deps: CommandWatchDeps) {
    this.#deps = deps;
  }

  /** False where it is watched already, which changes nothing. */
  add(one: CommandAtWork): boolean {
    const { id } = one.cell;
    if (this.#closed || this.#entries.get(id)?.one.key === one.key) return false;
    const { clock } = this.#deps;
    const elapsedMs = runningMs(one.handle) ?? Math.max(0, clock.now() - one.startedAt);
    this.#entries.set(id, {
      one,
      overAt: clock.monotonic() + one.limitMs - elapsedMs,
      scannedAt: Number.NEGATIVE_INFINITY,
      stopped: null,
      check: null,
    });
    this.#schedule();
    return true;
  }

  /** The command of a cell that is at work. */
  find(cellId: string): CommandAtWork | null {
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

  /** Stops looking; commands go on. */
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
    const { cell, key } = entry.one;
    if (entry.check !== null || this.#held.has(cell.id)) return;
    entry.check = this.#check(entry)
      .catch((error: unknown) => {
        const facts = { cell: cell.id, command: key, error: explain(error) };
        this.#deps.log.warn(facts, "looking at a command failed; it is looked at again");
      })
      .finally(() => {
        entry.check = null;
      });
  }

  async #check(entry: Entry): Promise<void> {
    const { backends, clock, config } = this.#deps;
    const { handle, limitMs } = entry.one;
    const backend = backends.get(handle.backend);
    if (backend === undefined) return;
    const seen = await backend.observe(handle);
    if (seen.kind !== "alive") return this.#ended(entry, backend, seen);
    await this.#cutLog(entry);
    if (clock.monotonic() - entry.scannedAt >= config.pit.scanMs) await this.#scan(entry);
    if (clock.monotonic() >= entry.overAt) entry.stopped ??= overLimit(limitMs);
    if (entry.stopped !== null) await backend.stop(handle, config.limits.graceMs);
  }

  /** Says that somebody is at work, and looks what it fills. */
  async #scan(entry: Entry): Promise<void> {
    const { cellDir, clock, config, log } = this.#deps;
    const { cell, command, beat } = entry.one;
    entry.scannedAt = clock.monotonic();
    const message = command.slice(0, 200);
    await writeHeartbeat(cellDir(cell.id), {
      ...{ at: toIso(clock.now()), state: beat, by: "runner", message },
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
    await cutLog(cellDir(one.cell.id), one.log, most);
  }

  async #ended(entry: Entry, backend: Backend, seen: Exclude<Observation, { kind: "alive" }>): Promise<void> {
    const { clock, config, gates, groups, log, report } = this.#deps;
    const { cell, key, handle, limitMs, startedAt } = entry.one;
    const left = await backend.leftovers(cell.id, handle);
    const leftovers = left.length === 0 ? [] : await backend.stop(handle, config.limits.graceMs);
    const killed = groups.memoryKills(cell.id)?.kills ?? 0;
    await groups.remove(cell.id);
    await this.#cutLog(entry).catch(() => {});
    const how = endOf(seen, clock.now());
    const isOverTime =
      entry.stopped === overLimit(limitMs) ||
      (entry.stopped === null && how.signal !== null && how.endedAt - startedAt >= limitMs);
    const stopped = entry.stopped ?? (isOverTime ? overLimit(limitMs) : null);
    const isGood = how.code === 0 && stopped === null;
    const end: CommandEnd = {
      ...how,
      ...{ stopped, isOverTime },
      isOutOfMemory: !isGood && killed > (handle.groupOomKills ?? 0),
      tail: isGood ? "" : await this.#tail(entry.one),
      refusedHosts: await gates.close(cell.id),
      leftovers: leftovers.map(({ pid, command }) => `${pid} ${command}`),
    };
    const said = await entry.one.reportOf(end, backend);
    const { code, signal } = end;
    await note(this.#deps, cell.id, { ...entry.one.noted, code, signal, stopped });
    report(said);
    log.info({ cell: cell.id, command: key, code, signal, stopped }, "command ended");
    this.#entries.delete(cell.id);
  }

  async #tail({ cell, log }: CommandAtWork): Promise<string> {
    const { cellDir, redact } = this.#deps;
    const { text } = await readLogEnd(cellDir(cell.id), log, { maxBytes: TAIL_BYTES, redact });
    return text.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  }
}

function overLimit(limitMs: number): string {
  return `over its limit of ${formatDuration(limitMs)}`;
}

function endOf(
  seen: Exclude<Observation, { kind: "alive" }>,
  now: number,
): Pick<CommandEnd, "endedAt" | "code" | "signal"> {
  if (seen.kind === "gone") return { endedAt: now, code: null, signal: null };
  return { endedAt: Math.min(seen.endedAt, now), code: seen.code, signal: seen.signal };
}
