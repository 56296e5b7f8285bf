import type { ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import { sha256 } from "../hash.ts";
import type { Log } from "../log.ts";
import { level } from "../meter.ts";
import type { Db } from "../store/db.ts";

/** What an open page is brought up to date with. */
export interface Fresh {
  readonly title: string;
  /** The content of `main`. */
  readonly main: string;
  readonly banner: string;
  /** `As of 2026-12-05 14:30 UTC.` */
  readonly asOf: string;
}

/** One open page. */
export interface Watching {
  /** Whose session it is. */
  readonly session: string;
  /** Nothing but a file may have changed: it is looked at each time. */
  readonly isOfFile: boolean;
  /** The page as it is now; null: one may not see it any more. */
  render(): Promise<Fresh | null>;
  /** Whether one is still signed in. */
  lasts(): boolean;
}

export interface Streams {
  /** Whether one more may be opened for a session. */
  hasRoom(session: string): boolean;
  open(response: ServerResponse, watching: Watching): void;
  /** Tells all that the server goes, and ends them. */
  close(): void;
  readonly size: number;
}

const TICK_MS = 250;
/** A page that takes long to make is made so much less often. */
const REST_FACTOR = 10;
/** Ages grow and rights go without anything being written. */
const AGAIN_MS = 20_000;
const PING_MS = 15_000;
const MOST_OF_SESSION = 4;
const MOST = 200;

interface Stream extends Watching {
  readonly response: ServerResponse;
  sent: string;
  version: string;
  renderedAt: number;
  /** It is not made again before then, monotonic ms. */
  restsUntil: number;
  pingedAt: number;
  isBusy: boolean;
}

/**
 * Keeps open pages up to date: each is made again by the server where something was written, and sent whole
 * where it is another; what is shown of it is the browser's business. Nothing is looked for while no page is
 * open.
 */
export function createStreams({ db, clock, log }: { db: Db; clock: Clock; log: Log }): Streams {
  const streams = new Set<Stream>();
  let isTicking = false;

  const version = () =>
    `${db.foreignVersion()}:${db.sql.prepare("SELECT total_changes()").pluck().get() as number}`;

  const changed = () => level("streams", streams.size);

  function tick(): void {
    if (streams.size === 0 || !db.sql.open) {
      isTicking = false;
      return;
    }
    const now = version();
    for (const stream of streams) void look(stream, now);
    clock.after(TICK_MS, tick);
  }

  async function look(stream: Stream, now: string): Promise<void> {
    const at = clock.monotonic();
    if (!stream.lasts()) return end(stream, "signed-out");
    if (at - stream.pingedAt >= PING_MS) {
      stream.pingedAt = at;
      stream.response.write(": here\n\n");
    }
    const isDue = stream.isOfFile || stream.version !== now || at - stream.renderedAt >= AGAIN_MS;
    // Whoever reads slowly gets the newest when it is read, and not everything in between.
    if (!isDue || at < stream.restsUntil || stream.isBusy || stream.response.writableNeedDrain) return;
    stream.isBusy = true;
    stream.version = now;
    stream.renderedAt = at;
    try {
      const fresh = await stream.render();
      if (!streams.has(stream)) return;
      if (fresh === null) return end(stream, "no-right");
      const hash = sha256(JSON.stringify([fresh.title, fresh.main, fresh.banner]));
      if (hash !== stream.sent) {
        stream.sent = hash;
        send(stream, "page", fresh);
      }
    } catch (error) {
      log.warn(
        { why: error instanceof Error ? error.message : String(error) },
        "a page could not be brought up to date",
      );
    } finally {
      stream.isBusy = false;
      const tookMs = clock.monotonic() - at;
      stream.restsUntil = at + tookMs * REST_FACTOR;
    }
  }

  function end(stream: Stream, why: "signed-out" | "no-right" | "restart"): void {
    if (!streams.delete(stream)) return;
    changed();
    send(stream, "bye", { why });
    stream.response.end();
  }

  return {
    get size() {
      return streams.size;
    },
    hasRoom: (session) =>
      streams.size < MOST && [...streams].filter((one) => one.session === session).length < MOST_OF_SESSION,
    open(response, watching) {
      response.writeHead(200, {
        ...{ "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" },
        // A proxy that waits for more would keep everything.
        "X-Accel-Buffering": "no",
      });
      response.write("retry: 3000\n\n");
      const at = clock.monotonic();
      const stream: Stream = {
        ...watching,
        ...{
          response,
          sent: "",
          version: "",
          renderedAt: Number.NEGATIVE_INFINITY,
          restsUntil: 0,
          pingedAt: at,
          isBusy: false,
        },
      };
      streams.add(stream);
      changed();
      response.on("close", () => {
        streams.delete(stream);
        changed();
      });
      void look(stream, version());
      if (!isTicking) {
        isTicking = true;
        clock.after(TICK_MS, tick);
      }
    },
    close() {
      for (const stream of [...streams]) end(stream, "restart");
    },
  };
}

function send({ response }: Pick<Stream, "response">, event: string, data: object): void {
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
