import type * as z from "zod";
import { LazarusError } from "../errors.ts";
import type { Post, Receiving } from "./post.ts";
import { type Header, MOST_MESSAGE_BYTES, seal, unseal } from "./sealing.ts";

/** One way of a runner's line: what is sealed for `queue` with the key of a generation. */
export interface Way {
  readonly queue: string;
  keyOf(generation: number): Uint8Array | null;
}

export interface Speaking extends Way {
  readonly post: Post;
  /** With which of the keys, and in which lives, it is said now. */
  header(): Omit<Header, "number">;
}

/** Says messages one after the other, each with a higher number. */
export interface Speaker {
  /**
   * `id`: while a message of that id waits there, this one is dropped. `to`: of another incarnation than the
   * header's.
   * @throws LazarusError `queue-unreachable`, or `over-limit` where it is too large.
   */
  say(message: object, how?: { readonly id?: string; readonly to?: string }): Promise<void>;
}

/** As many as may wait to be sent: what is lost beyond them is said again. */
const MOST_WAITING = 5_000;

export function createSpeaker(speaking: Speaking): Speaker {
  let number = 0;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    say(message, { id, to } = {}) {
      const text = JSON.stringify(message);
      const bytes = Buffer.byteLength(text);
      if (bytes > MOST_MESSAGE_BYTES)
        return Promise.reject(
          new LazarusError("over-limit", `a message of ${bytes} bytes is too large to be sent`),
        );
      if (waiting >= MOST_WAITING)
        return Promise.reject(
          new LazarusError("queue-unreachable", "too many messages wait to be sent", { retryable: true }),
        );
      waiting++;
      const sending = last.then(() => {
        // Sealed when it is sent: a number that was drawn earlier would come too late.
        const given = speaking.header();
        const header = { ...given, ...(to === undefined ? {} : { incarnation: to }), number: ++number };
        const key = speaking.keyOf(header.generation);
        if (key === null) throw new LazarusError("runner-gone", "its key holds no more");
        return speaking.post.send(speaking.queue, seal(key, speaking.queue, { header, text }), id);
      });
      last = sending
        .catch(() => {})
        .then(() => {
          waiting--;
        });
      return sending;
    },
  };
}

/** Hands over what was sealed for this way and reads as a message; whatever else comes is counted. */
export function listen<S extends z.ZodType>(
  way: Way & { readonly post: Post },
  shape: S,
  on: {
    readonly heard: (header: Header, message: z.infer<S>) => void;
    readonly dropped: (why: "seal" | "shape") => void;
  },
): Receiving {
  return way.post.receive(way.queue, (sealed) => {
    const opened = unseal(way.keyOf, way.queue, sealed);
    if (opened === null) return on.dropped("seal");
    const parsed = shape.safeParse(parseJson(opened.text));
    if (parsed.success) on.heard(opened.header, parsed.data);
    else on.dropped("shape");
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON fits no shape.
    return undefined;
  }
}
