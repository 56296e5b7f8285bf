import * as z from "zod";
import type { Handle } from "../../backends/backend.ts";
import type { MemoryKills } from "../../backends/os/groups/cell-groups.ts";
import { bootId, oomKills } from "../../backends/os/proc.ts";
import type { Said, Signs } from "../../protocol/shapes.ts";
import { lastBytes } from "../../visible.ts";
import { plainRedacted, readLogEnd } from "../disk/log-tail.ts";
import { inDirectory, readInside } from "../disk/safe-files.ts";
import { digest } from "../events/digest.ts";
import { renderLog } from "../events/render-log.ts";
import { signsIn } from "./log-signs.ts";

/** Where a run left its signs. */
export interface Traces {
  readonly cellDir: string;
  /** Name of the run's log below `logs/`. */
  readonly log: string;
  readonly handle: Handle | null;
  /** Epoch ms: what is older belongs to an earlier run. */
  readonly since: number;
  /** Epoch ms. */
  readonly endedAt: number;
  /** Whether it was an agent whose stream of events is known. */
  readonly isKnown: boolean;
  readonly redact: (text: string) => string;
  /** Names, below the cell, of the directory that its artifacts are in. Absent: `artifacts`. */
  readonly artifacts?: readonly string[];
  /** Of the cell's control group, before anything else ran in it; null where it has none. */
  readonly memoryKills: MemoryKills | null;
}

const LOG_BYTES = 64 * 1024;
/** Of a stream of events: one may hold a whole file. */
const EVENTS_BYTES = 1024 * 1024;
const QUESTION_BYTES = 4 * 1024;

/**
 * What the end of a run's log and this machine say of how it went. Throws nothing for what an agent did to
 * its log.
 */
export async function readSigns(traces: Traces): Promise<Signs> {
  const { cellDir, log, handle, endedAt, isKnown, redact } = traces;
  const { text } = await readLogEnd(cellDir, log, { maxBytes: LOG_BYTES, redact });
  return {
    ...signsIn(text, { isKnown, at: endedAt }),
    ...killedForMemory(traces),
    isRebooted: handle !== null && handle.bootId !== "" && handle.bootId !== bootId(),
  };
}

/** The cell's own count where there is one: that of the machine grows with everybody's. */
function killedForMemory({ handle, memoryKills }: Traces): Pick<Signs, "isOutOfMemory" | "isOverMemory"> {
  const ownBefore = handle?.groupOomKills ?? null;
  if (memoryKills !== null && ownBefore !== null) {
    const isKilled = memoryKills.kills > ownBefore;
    return {
      isOutOfMemory: isKilled && !memoryKills.isOwnLimit,
      isOverMemory: isKilled && memoryKills.isOwnLimit,
    };
  }
  const before = handle?.oomKills ?? null;
  const kills = oomKills();
  return { isOutOfMemory: before !== null && kills !== null && kills > before, isOverMemory: false };
}

/**
 * What the agent said and did by its own events, null where it writes none, and the last `tailBytes` of its
 * log as people read it. Redacted before its events are read and after: what JSON wrote in two pieces is one
 * then.
 */
export async function readSaid(
  { cellDir, log, redact }: Traces,
  tailBytes: number,
): Promise<{ said: Said | null; logTail: string }> {
  const { text, cut } = await readLogEnd(cellDir, log, { maxBytes: EVENTS_BYTES, redact });
  const found = digest(text, cut);
  const said: Said | null =
    found === null
      ? null
      : {
          ...found,
          words: redact(found.words),
          ran: found.ran.map((one) => ({ ...one, command: redact(one.command), end: redact(one.end) })),
          denied: found.denied.map(({ what, why }) => ({ what: redact(what), why: redact(why) })),
          trouble: redact(found.trouble),
        };
  return { said, logTail: lastBytes(redact(renderLog(text, cut)), tailBytes) };
}

const beat = z.object({ state: z.literal("asks"), message: z.string() });

/**
 * What the agent asks the people who asked for it: `artifacts/question.md`, else the message of an
 * `artifacts/heartbeat.json` whose state is `asks`; either written since the run began. Redacted, plain text,
 * cut; null where it asks nothing.
 */
export async function readQuestion(traces: Traces): Promise<string | null> {
  const read = (name: string) =>
    inDirectory(traces.cellDir, traces.artifacts ?? ["artifacts"], async (directory) => {
      const file = await readInside(directory, name, { end: "start", maxBytes: 4 * QUESTION_BYTES });
      return file === null || file.changedAt < traces.since ? null : file.text;
    });
  const asked = (await read("question.md")) ?? messageOf(await read("heartbeat.json"));
  if (asked === null) return null;
  const text = plainRedacted(asked, traces.redact).trim();
  if (text === "") return null;
  const bytes = Buffer.from(text);
  if (bytes.length <= QUESTION_BYTES) return text;
  return `${bytes
    .subarray(0, QUESTION_BYTES)
    .toString("utf8")
    .replace(/\ufffd+$/, "")}\n…`;
}

function messageOf(text: string | null): string | null {
  if (text === null) return null;
  try {
    const parsed = beat.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data.message : null;
  } catch {
    // Half-written, or no JSON at all: it asks nothing.
    return null;
  }
}
