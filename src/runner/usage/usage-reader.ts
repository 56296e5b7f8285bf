import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { logNameOf } from "../../cells/names.ts";
import type { PresetName } from "../../preset-names.ts";
import { reportOf } from "../../protocol/reports.ts";
import { mostOf, type Usage } from "../../protocol/usage.ts";
import { below, inDirectory, isAbsent, readInside } from "../disk/safe-files.ts";
import type { Say } from "../health/watch-deps.ts";
import { readHermes, usedBefore } from "./hermes.ts";
import { Meter } from "./meter.ts";

const CHUNK_BYTES = 256 * 1024;
/** At one look: what is left is read at the next one. */
const LOOK_BYTES = 16 * 1024 * 1024;
/** Of one event, which may hold a file that was read or written. */
const MOST_LINE = 4 * 1024 * 1024;

const NOTHING: Usage = { costUsd: null, tokens: null };

/** Where the same session may have been told of before: the beginning and the end of earlier logs. */
const MOST_LOGS = 20;
const EARLIER_BYTES = 256 * 1024;

/** Whose usage is read. */
export interface UsageOf {
  readonly cellDir: string;
  readonly run: number;
  readonly agent: string;
  readonly preset: PresetName | null;
}

/**
 * Reads what one run has used so far, as its agent tells it: from its log, a piece at each look, and from
 * where hermes keeps it. Throws nothing for what an agent did to these.
 */
export class UsageReader {
  readonly #of: UsageOf;
  readonly #meter = new Meter();
  #decoder = new StringDecoder("utf8");
  #offset = 0;
  #line = "";
  #isTooLong = false;
  #earlier: Usage | null = null;

  constructor(of: UsageOf) {
    this.#of = of;
  }

  /** What it has used as far as was read; null where it told nothing. `isWhole`: all of the log is read. */
  async look({ isWhole = false } = {}): Promise<Usage | null> {
    const { cellDir, run, agent, preset } = this.#of;
    await inDirectory(cellDir, ["logs"], (logs) =>
      reading(logs, logNameOf(agent, run), (file) =>
        this.#readOn(file, isWhole ? Number.POSITIVE_INFINITY : LOOK_BYTES),
      ),
    );
    const used = this.#meter.told(await this.#before());
    const hermes = preset === "hermes" ? await this.#ofHermes() : null;
    const all = hermes === null ? used : mostOf(used, hermes);
    return all.costUsd === null && all.tokens === null ? null : all;
  }

  async #readOn(file: FileHandle, most: number): Promise<void> {
    const { size } = await file.stat();
    // It was cut in its middle. What is read again is known by its ids.
    if (size < this.#offset) this.#restart();
    const end = Math.min(size, this.#offset + most);
    while (this.#offset < end) {
      const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, end - this.#offset));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#hear(this.#decoder.write(buffer.subarray(0, bytesRead)));
    }
  }

  #restart(): void {
    [this.#offset, this.#line, this.#isTooLong] = [0, "", false];
    this.#decoder = new StringDecoder("utf8");
  }

  #hear(text: string): void {
    const lines = text.split("\n");
    const last = lines.pop() ?? "";
    for (const [index, line] of lines.entries()) {
      if (index > 0) this.#meter.hear(line);
      else if (!this.#isTooLong) this.#meter.hear(this.#line + line);
    }
    if (lines.length > 0) [this.#line, this.#isTooLong] = ["", false];
    if (this.#line.length + last.length > MOST_LINE) [this.#line, this.#isTooLong] = ["", true];
    else if (!this.#isTooLong) this.#line += last;
  }

  /** What earlier runs of the agent said of the session that this one goes on with. */
  async #before(): Promise<Usage> {
    const { session, ofSession } = this.#meter;
    if (ofSession === null || session === "") return NOTHING;
    this.#earlier ??= await sessionBefore(this.#of, session);
    return this.#earlier;
  }

  async #ofHermes(): Promise<Usage | null> {
    const now = await readHermes(this.#of);
    return now === null ? null : usedSince(now, await usedBefore(this.#of));
  }
}

function usedSince(now: Usage, before: Usage): Usage {
  const since = (all: number | null, earlier: number | null) =>
    all === null ? null : all >= (earlier ?? 0) ? all - (earlier ?? 0) : all;
  return { costUsd: since(now.costUsd, before.costUsd), tokens: since(now.tokens, before.tokens) };
}

async function reading(
  directory: FileHandle,
  name: string,
  read: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(below(directory, name), flags).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (file === null) return;
  try {
    const { nlink } = await file.stat();
    // A second name may lead to a file of somebody else.
    if ((await file.stat()).isFile() && nlink === 1) await read(file);
  } finally {
    await file.close();
  }
}

async function sessionBefore({ cellDir, run, agent }: UsageOf, session: string): Promise<Usage> {
  const found = await inDirectory(cellDir, ["logs"], async (logs) => {
    for (let n = run - 1; n > 0 && n >= run - MOST_LOGS; n--) {
      const meter = new Meter();
      for (const end of ["start", "end"] as const) {
        const read = await readInside(logs, logNameOf(agent, n), { end, maxBytes: EARLIER_BYTES });
        for (const line of read?.text.split("\n") ?? []) meter.hear(line);
      }
      const { ofSession } = meter;
      if (meter.session === session && ofSession !== null)
        return { costUsd: ofSession.costUsd, tokens: ofSession.tokens };
    }
    return NOTHING;
  });
  return found ?? NOTHING;
}

/** Reports what a run has used where that is news; answers what is told now. */
export function tellUsed(
  used: Usage | null,
  told: Usage | null,
  { cellId, run, report }: { readonly cellId: string; readonly run: number; readonly report: Say },
): Usage | null {
  const isNews = used !== null && (used.costUsd !== told?.costUsd || used.tokens !== told.tokens);
  if (isNews) report(reportOf("used", { cellId, run, usage: used }));
  return isNews ? used : told;
}
