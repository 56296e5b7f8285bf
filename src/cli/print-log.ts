import { join } from "node:path";
import { isBeingSetUp } from "../cells/cell.ts";
import { logNameOf, SETUP_LOG } from "../cells/names.ts";
import { LOCAL_RUNNER } from "../cells/runner-jobs.ts";
import { findCell } from "../commands/access/find-cell.ts";
import { type LogOf, loggedIn, noLogOf } from "../commands/logs.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { openParts } from "../control.ts";
import { explain, isRetryable } from "../errors.ts";
import { silentLog } from "../log.ts";
import { type Excerpt, readLogEnd } from "../runner/disk/log-tail.ts";
import { createLogRenderer, withoutHalfEvent } from "../runner/events/render-log.ts";
import { prepareDataDir } from "../store/lock.ts";
import { operatorOrigin, refusedAnswer } from "./ask.ts";
import { readFarLog } from "./far-log.ts";
import { unhidden } from "./unhidden.ts";
import { sleepOr } from "./waiting.ts";

/** Of a stream of events: one may hold a whole file. */
const FIRST_BYTES = 1024 * 1024;
const WINDOW_BYTES = 128 * 1024;
const OVERLAP_CHARS = 512;
/** Each look crosses to another host and back. */
const FAR_LOOK_MS = 1_000;

export interface LogRequest {
  readonly cell: string;
  readonly lines: number;
  /** The file as the agent wrote it. */
  readonly raw: boolean;
  readonly follow: boolean;
  readonly of: LogOf;
  readonly signal: AbortSignal;
  print(text: string): void;
  /** Told why nothing more comes just now. */
  notice(line: string): void;
}

/** What was printed, for programs. */
export interface PrintedLog {
  readonly id: string;
  readonly run: number;
  readonly agent: string;
  /** There is more of it before what was printed. */
  readonly truncated: boolean;
}

/** Prints the end of a cell's log, secrets hidden, and goes on with what is added to it. */
export async function printLog(config: Config, request: LogRequest): Promise<StoredAnswer | PrintedLog> {
  prepareDataDir(config.dataDir);
  const parts = openParts(config, { log: silentLog });
  const { redact } = parts.redactor;
  try {
    const asked = { verb: "logs", role: "executor" } as const;
    const found = await findCell(request.cell, asked, { origin: operatorOrigin(), deps: parts.deps });
    if ("refusal" in found) {
      const { refusal } = found;
      return refusal.kind === "refused"
        ? refusedAnswer(refusal.code, refusal.reply.text)
        : refusedAnswer("failed", "");
    }
    const { id, state, runner } = found.cell;
    const isFar = runner !== LOCAL_RUNNER;
    const log = loggedIn(found.cell, { deps: parts.deps, of: request.of });
    if (log === null || state === "archived")
      return refusedAnswer("failed", noLogOf(found.cell, request.of).text);
    // A runner hides what its agents were given; here nobody needs to know it.
    const hidden = isFar ? null : unhidden(parts.registry.runs(id), config);
    if (hidden !== null) return refusedAnswer("failed", `The log is not shown: ${hidden}.`);
    const { owner, n } = log;
    const isWritten = () => {
      if (typeof request.of === "object") return parts.registry.checks.one(id, n)?.state === "running";
      const now = parts.registry.run(id, n);
      return owner === SETUP_LOG ? isBeingSetUp(now) : now?.state === "running";
    };
    const dir = join(config.missionsDir, id);
    const name = logNameOf(owner, n);
    const read = (maxBytes: number) =>
      isFar
        ? readFarLog({ cellId: id, runner, log: name }, { config, registry: parts.registry, maxBytes })
        : readLogEnd(dir, name, { maxBytes, redact });
    let isAway = false;
    /** What is new of a log that is followed; a runner that is away for a while is waited for. */
    const readOn = async <Last>(last: Last, maxBytes = WINDOW_BYTES): Promise<Excerpt | Last> => {
      try {
        const now = await read(maxBytes);
        isAway = false;
        return now;
      } catch (error) {
        if (!isRetryable(error)) throw error;
        if (!isAway) request.notice(`${explain(error)}; waiting for it`);
        isAway = true;
        return last;
      }
    };
    const printer = createPrinter(request, redact);
    const begin = async (): Promise<Excerpt> => {
      if (!request.follow) return read(FIRST_BYTES);
      for (;;) {
        const found = await readOn(null, FIRST_BYTES);
        if (found !== null) return found;
        await sleepOr(request.signal, FAR_LOOK_MS);
      }
    };
    let shown = await begin();
    const truncated = printer.begin(shown);
    let isOver = !request.follow;
    while (!isOver) {
      // Asked before the log is read: what was written until then is read once more.
      isOver = !isWritten();
      if (!isOver) await sleepOr(request.signal, isFar ? FAR_LOOK_MS : undefined);
      const now = await readOn(shown);
      printer.goOn(added(shown.text, now.text), now);
      shown = now;
    }
    printer.end();
    return { id, run: n, agent: owner, truncated };
  } finally {
    parts.db.close();
  }
}

interface Printer {
  /** Answers whether there is more before what was printed. */
  begin(log: Excerpt): boolean;
  goOn(piece: string, window: Excerpt): void;
  end(): void;
}

function createPrinter({ raw, lines, follow, print }: LogRequest, redact: (text: string) => string): Printer {
  if (raw) return { begin: (log) => printEnd(log.text, log.cut), goOn: print, end() {} };
  const renderer = createLogRenderer();
  return {
    begin(log) {
      const text = renderer.push(log.cut ? withoutHalfEvent(log.text) : log.text);
      return printEnd(redact(follow ? text : text + renderer.end()), log.cut);
    },
    goOn(piece, window) {
      // The window moved too far to tell what is new: it begins anywhere.
      const isTorn = piece === window.text && window.cut;
      print(redact(renderer.push(isTorn ? withoutHalfEvent(piece) : piece)));
    },
    end: () => print(redact(renderer.end())),
  };

  function printEnd(text: string, isCut: boolean): boolean {
    const shown = lastLines(text, lines);
    print(shown);
    return isCut || shown.length < text.length;
  }
}

/**
 * What is new in a window that moved over a growing text; the whole window where it moved too far to tell.
 */
export function added(before: string, now: string): string {
  if (now.startsWith(before)) return now.slice(before.length);
  const tail = before.slice(-OVERLAP_CHARS);
  const at = tail === "" ? 0 : now.lastIndexOf(tail);
  return at < 0 ? now : now.slice(at + tail.length);
}

/** The end of a text, as many lines of it as were asked for. */
export function lastLines(text: string, count: number): string {
  const lines = text.split("\n");
  const ended = lines.at(-1) === "";
  return lines.slice(-(count + (ended ? 1 : 0))).join("\n");
}
