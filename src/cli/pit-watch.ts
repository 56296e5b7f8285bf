import { type Clock, sleep, toIso } from "../clock.ts";
import { explain } from "../errors.ts";
import { type Counts, noCounts, type PitEntry, type ScanOptions, scan } from "../runner/pit/pit.ts";
import { writePitHeartbeat } from "../runner/pit/pit-heartbeat.ts";
import { inSlices } from "../slices.ts";
import { formatDuration } from "../units.ts";
import { summaryOf, visible } from "./pit-report.ts";
import type { Notifier } from "./service-manager.ts";

/** Signals and the watchdog are served in between. */
const SLICE_MS = 50;

export interface Watching {
  readonly options: ScanOptions;
  readonly clock: Clock;
  readonly scanMs: number;
  /** Where `pit-heartbeat.json` is written after each look; null: nowhere. */
  readonly heartbeatDir: string | null;
  readonly notifier: Notifier;
  print(text: string): void;
}

/** How everything was at one look: what is compared, by id or path. */
interface Picture {
  readonly known: Map<string, Known>;
  readonly counts: Counts;
  readonly strangers: number;
}

interface Known {
  /** The class, and what is missing: ages change with every look. */
  readonly state: string;
  readonly word: string;
}

/**
 * Looks again and again and prints a line for whatever changed, until SIGTERM or SIGINT, which is exit code
 * 0. What goes wrong with the first look is thrown; later it is said, and tried again.
 */
export async function watchPit(watching: Watching): Promise<number> {
  const ending = new AbortController();
  const end = () => ending.abort();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, end);
  // The clock's timers keep nothing alive, and this is what the process is for.
  const held = setInterval(() => {}, 60_000);
  try {
    await watch(watching, ending.signal);
  } catch (error) {
    if (!ending.signal.aborted) throw error;
    await watching.notifier.stopping();
  } finally {
    clearInterval(held);
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.off(signal, end);
  }
  return 0;
}

async function watch(watching: Watching, signal: AbortSignal): Promise<never> {
  const { options, clock, scanMs, notifier, heartbeatDir } = watching;
  const { root } = options;
  const say = (line: string) => watching.print(`${toIso(clock.now())} ${line}\n`);
  const beat = async ({ counts }: Picture) => {
    if (heartbeatDir !== null)
      await writePitHeartbeat(heartbeatDir, { at: clock.now(), state: "running", root, counts });
  };

  let before = await look(watching, signal);
  await beat(before.picture);
  const summary = summaryOf(root, before.picture.counts, before.picture.strangers);
  say(`watching ${summary}; looking each ${formatDuration(scanMs)}`);
  for (const line of before.lines) say(line);
  await notifier.ready(summary);
  let problem: string | null = null;
  for (;;) {
    await sleep(clock, scanMs, signal);
    try {
      const now = await look(watching, signal, before.picture);
      for (const line of now.lines) say(line);
      before = now;
      await beat(now.picture);
      if (problem !== null) say("it goes on");
      problem = null;
      await notifier.status(summaryOf(root, now.picture.counts, now.picture.strangers));
    } catch (error) {
      signal.throwIfAborted();
      const what = explain(error);
      if (what !== problem) say(`lazarus: ${what}; trying again`);
      problem = what;
      await notifier.status(what);
    }
  }
}

async function look(
  { options, clock }: Watching,
  signal: AbortSignal,
  before?: Picture,
): Promise<{ readonly picture: Picture; readonly lines: readonly string[] }> {
  const known = new Map<string, Known>();
  const counts = noCounts();
  const lines: string[] = [];
  let strangers = 0;
  await inSlices(scan(options), { sliceMs: SLICE_MS, clock, signal }, (seen) => {
    if (seen.kind === "cell") counts[seen.class]++;
    else strangers++;
    const [name, now] = knownOf(seen);
    known.set(name, now);
    const was = before?.known.get(name);
    const isNews = before === undefined ? now.word !== "healthy" : was?.state !== now.state;
    if (!isNews) return;
    const change = was === undefined || was.word === now.word ? "" : ` (was ${was.word})`;
    lines.push(`${visible(name)} ${now.word}${seen.kind === "cell" ? `: ${seen.reason}` : ""}${change}`);
  });
  for (const [name, was] of before?.known ?? []) {
    if (!known.has(name)) lines.push(`${visible(name)} is gone (was ${was.word})`);
  }
  return { picture: { known, counts, strangers }, lines };
}

function knownOf(seen: PitEntry): [name: string, known: Known] {
  if (seen.kind === "stranger") return [seen.path, { state: seen.what, word: `no cell, ${seen.what}` }];
  const isPlain = seen.class !== "incomplete";
  return [seen.id, { state: isPlain ? seen.class : `${seen.class}: ${seen.reason}`, word: seen.class }];
}
