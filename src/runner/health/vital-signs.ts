import type { Clock } from "../../clock.ts";
import { explain } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { JobPayload } from "../../protocol/jobs.ts";
import { type AnyReport, reportOf } from "../../protocol/reports.ts";
import type { HealthBefore, HeartbeatWords } from "../../protocol/runner-port.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
import type { Usage } from "../../protocol/usage.ts";
import type { Semaphore } from "../../semaphore.ts";
import { formatSize } from "../../units.ts";
import { tellUsed, type UsageReader } from "../usage/usage-reader.ts";
import { type Assessment, assess, type HealthLimits } from "./assess.ts";
import { type DiskUse, diskUse } from "./disk-use.ts";
import { isNews } from "./health-news.ts";
import { BEAT_BYTES, readBeat, writeAgentBeat, writeRunnerBeat } from "./heartbeat.ts";
import { askGateway, type GatewayAnswer } from "./hermes-status.ts";
import { findLoop } from "./loop.ts";
import { lookAtLog, lookAtNote, type SeenFile } from "./signals.ts";
import { type WallTimes, wallTimesOf } from "./wall-time.ts";

export interface PulseDeps {
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  readonly cellDir: string;
  /** Name of the run's log below `logs/`. */
  readonly logName: string;
  readonly limits: HealthLimits;
  readonly scanMs: number;
  /** What its agents may fill. */
  readonly diskBytes: number;
  readonly healthUrl: string | null;
  readonly redact: (text: string) => string;
  /** Shared by all that are looked at. */
  readonly slots: Semaphore;
  readonly usage: Pick<UsageReader, "look">;
  readonly report: (report: AnyReport) => void;
}

/** The run that is looked at. */
export interface PulseRun {
  readonly cellId: string;
  readonly run: number;
  /** Epoch ms, by the clock of that time. */
  readonly startedAt: number;
  readonly runningMs: number;
  /** Null: it has just been started. */
  readonly before: HealthBefore | null;
}

/**
 * A loop is believed at the third look in a row, with new output between them: some programs say the same for
 * a while.
 */
const LOOP_LOOKS = 3;

/**
 * Feels the pulse of one running run: at each scan its signals are gathered, each by itself, and what they
 * say together is reported where it changed. What it says of itself is written to `state/heartbeat.json`.
 */
export class Pulse {
  readonly #deps: PulseDeps;
  readonly #run: PulseRun;
  readonly #moments: WallTimes;
  /** All monotonic. */
  #scannedAt = Number.NEGATIVE_INFINITY;
  #lookedAt: number | null = null;
  #outputAt: number | null = null;
  #changedAt: number | null = null;
  #beatAt: number | null = null;
  #logStamp: string | null = null;
  #noteStamp: string | null = null;
  /** Epoch ms, of the newest change in the tree. */
  #newestChange: number | null = null;
  #isTreeSeen = true;
  #usedBytes: number | null = null;
  /** What was told last. */
  #used: Usage | null = null;
  #gatewayFault: string | null = null;
  #loop: { readonly what: string; readonly since: number; readonly looks: number } | null = null;
  #beat: AgentBeat | null;
  #verdict: Pick<Assessment, "health" | "since"> | null;
  #reported: JobPayload<"health"> | null = null;
  #scan: { readonly done: Promise<void>; readonly abort: AbortController } | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: PulseDeps, run: PulseRun) {
    this.#deps = deps;
    this.#run = run;
    this.#moments = wallTimesOf(deps.clock, run);
    this.#beat = run.before?.beat ?? null;
    if (this.#beat !== null) this.#beatAt = this.#moments.ofFirst(this.#beat.at);
    this.#verdict =
      run.before === null
        ? null
        : { health: run.before.health, since: this.#moments.ofFirst(run.before.since) };
  }

  /** Begins a scan where one is due and none is on its way; resolves when it is over, and never rejects. */
  async tick(): Promise<void> {
    const { clock, scanMs, log } = this.#deps;
    if (this.#scan !== null || clock.monotonic() - this.#scannedAt < scanMs) return;
    this.#scannedAt = clock.monotonic();
    const abort = new AbortController();
    const done = this.#look(abort.signal)
      .catch((error: unknown) => {
        const { cellId, run } = this.#run;
        log.warn({ cell: cellId, run, why: explain(error) }, "a run could not be scanned; it is again");
      })
      .finally(() => {
        this.#scan = null;
      });
    this.#scan = { done, abort };
    await done;
  }

  /** Ends what is on its way: when this has resolved nothing is written any more. `tick` begins anew. */
  async rest(): Promise<void> {
    this.#scan?.abort.abort();
    await this.#scan?.done;
    await this.#writing;
  }

  /** Takes a heartbeat that the agent sent; the next scan, at once where the run was silent, says so. */
  async hear(words: HeartbeatWords): Promise<void> {
    this.#take(words, "agent", this.#deps.clock.monotonic());
    if (this.#verdict?.health === "quiet" || this.#verdict?.health === "stalled")
      this.#scannedAt = Number.NEGATIVE_INFINITY;
    const beat = this.#beat;
    if (beat !== null) await this.#write(() => writeAgentBeat(this.#deps.cellDir, beat));
  }

  /** Says of a run whose process is gone, and whose end cannot be told just now, what is known. */
  sayDead(process: "exited" | "gone"): void {
    this.#judge(process);
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { cellDir, clock, healthUrl, redact, slots } = this.#deps;
    const before = this.#beat;
    // First of all: what follows may have to wait for its turn.
    await this.#note(() => writeRunnerBeat(cellDir, clock.now(), before));
    const [seen, gateway] = await Promise.all([
      slots(() => this.#lookInside(signal), signal),
      healthUrl === null ? null : askGateway(healthUrl, { redact, signal }),
    ]);
    if (signal.aborted || seen === null) return;
    const now = clock.monotonic();
    const [log, note, use, used] = seen;
    if (log !== null) this.#seeLog(log, now);
    if (note !== null) this.#seeNote(note);
    this.#seeTree(use);
    if (gateway !== null) this.#seeGateway(gateway, now);
    this.#lookedAt = now;
    this.#checkDisk();
    this.#used = tellUsed(used, this.#used, { ...this.#run, report: this.#deps.report });
    this.#judge("alive");
    const beat = this.#beat;
    if (beat !== null && beat !== before) await this.#note(() => writeAgentBeat(cellDir, beat));
  }

  #lookInside(
    signal: AbortSignal,
  ): Promise<[SeenFile | null, SeenFile | null, DiskUse | null, Usage | null]> {
    const { cellDir, logName, usage } = this.#deps;
    const note = { names: ["artifacts"], file: "heartbeat.json" };
    return Promise.all([
      lookAtLog(cellDir, logName, this.#logStamp),
      lookAtNote(cellDir, note, { known: this.#noteStamp, mostBytes: BEAT_BYTES }),
      diskUse(cellDir, signal),
      usage.look(),
    ]);
  }

  #seeLog(seen: SeenFile, now: number): void {
    if (seen.stamp === this.#logStamp) return;
    const isFirst = this.#logStamp === null;
    this.#logStamp = seen.stamp;
    if (isFirst && seen.bytes === 0) return;
    this.#outputAt = this.#whenOf(seen.modifiedAt);
    const what = this.#loopIn(seen.text ?? "");
    if (what === null) this.#loop = null;
    else if (this.#loop === null) {
      // What an earlier process believed needs no proof.
      const looks = this.#verdict?.health === "looping" ? LOOP_LOOKS : 1;
      this.#loop = { what, since: now, looks };
    } else this.#loop = { ...this.#loop, looks: this.#loop.looks + 1 };
  }

  /**
   * Half a secret could not be told any more: they are hidden before anything is cut, but only where there is
   * something to show.
   */
  #loopIn(text: string): string | null {
    return findLoop(text) === null ? null : findLoop(this.#deps.redact(text));
  }

  /** What an agent left in its artifacts; a run before it may have left one, too. */
  #seeNote(seen: SeenFile): void {
    if (seen.text === null) return;
    const isFirst = this.#noteStamp === null;
    this.#noteStamp = seen.stamp;
    if (isFirst && this.#moments.isBefore(seen.modifiedAt)) return;
    const words = readBeat(seen.text, this.#deps.redact);
    if (words !== null) this.#take(words, "file", this.#whenOf(seen.modifiedAt));
  }

  #seeTree(use: DiskUse | null): void {
    this.#isTreeSeen = use !== null;
    if (use === null) return;
    const { changedAt, bytes } = use;
    const isOther = changedAt !== this.#newestChange;
    // What is newer than now says nothing of when it changed: the clock was set back. Until it has caught up
    // nothing can be told.
    const isAhead = changedAt !== null && changedAt > this.#deps.clock.now();
    this.#newestChange = changedAt;
    this.#usedBytes = bytes;
    if (changedAt === null || !(isOther || isAhead)) return;
    const at = this.#whenOf(changedAt);
    if (at > this.#moments.startedAt) this.#changedAt = Math.max(at, this.#changedAt ?? at);
  }

  #seeGateway(answer: GatewayAnswer, now: number): void {
    this.#gatewayFault = "fault" in answer ? answer.fault : null;
    if (!("words" in answer)) return;
    const own = this.#beat !== null && this.#beat.by !== "gateway" && this.#beatAt !== null;
    // What the agent itself says is better than what its gateway says, as long as it is fresh.
    if (own && now - (this.#beatAt ?? 0) < this.#deps.limits.quietMs) return;
    this.#take(answer.words, "gateway", now);
  }

  #take(words: HeartbeatWords, by: AgentBeat["by"], when: number): void {
    this.#beatAt = Math.max(when, this.#beatAt ?? when);
    this.#beat = { ...words, by, at: Math.round(this.#moments.toWall(when)) };
  }

  #whenOf(at: number): number {
    return this.#lookedAt === null ? this.#moments.ofFirst(at) : this.#moments.since(this.#lookedAt, at);
  }

  #judge(process: "alive" | "exited" | "gone"): void {
    const loop = this.#loop !== null && this.#loop.looks >= LOOP_LOOKS ? this.#loop : null;
    const verdict = assess(
      {
        process,
        startedAt: this.#moments.startedAt,
        outputAt: this.#outputAt,
        changedAt: this.#changedAt,
        isTreeSeen: this.#isTreeSeen,
        beatAt: this.#beatAt,
        gatewayFault: this.#gatewayFault,
        loop,
      },
      { now: this.#deps.clock.monotonic(), before: this.#verdict },
      this.#deps.limits,
    );
    const { toWall } = this.#moments;
    const payload: JobPayload<"health"> = {
      cellId: this.#run.cellId,
      run: this.#run.run,
      health: verdict.health,
      reason: verdict.reason,
      since: Math.round(toWall(verdict.since)),
      seenAt: Math.round(toWall(verdict.seenAt)),
      beat: this.#beat,
    };
    this.#verdict = verdict;
    if (this.#reported !== null && !isNews(payload, this.#reported, this.#deps.scanMs)) return;
    this.#deps.report(reportOf("health", payload));
    this.#reported = payload;
  }

  #checkDisk(): void {
    const { diskBytes, report } = this.#deps;
    const { cellId, run } = this.#run;
    if (this.#usedBytes === null || this.#usedBytes <= diskBytes) return;
    const why = `over its disk: ${formatSize(this.#usedBytes)} of ${formatSize(diskBytes)}`;
    report(reportOf("over-limit", { cellId, run, limit: "disk", why }));
  }

  /** A disk that is full keeps nobody from telling how a run is. */
  #note(write: () => Promise<void>): Promise<void> {
    return this.#write(write).catch((error: unknown) => {
      const { cellId, run } = this.#run;
      this.#deps.log.warn({ cell: cellId, run, why: explain(error) }, "a heartbeat could not be written");
    });
  }

  /** One at a time, in the order in which they were asked for. */
  #write(write: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(write);
    this.#writing = done.catch(() => {});
    return done;
  }
}
