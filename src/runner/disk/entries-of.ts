import type { Dirent } from "node:fs";
import { type FileHandle, opendir } from "node:fs/promises";
import { LazarusError } from "../../errors.ts";

/** Read at once: some kilobytes. */
export const AT_ONCE = 64;

/**
 * What an open directory holds, a few names at a time: however many an agent made, they are never all in
 * memory, and the event loop goes on in between.
 */
export async function* entriesOf(directory: FileHandle): AsyncGenerator<Dirent<Buffer>, void> {
  const options = { encoding: "buffer" as BufferEncoding, bufferSize: AT_ONCE };
  // Node's types do not know that names are bytes then.
  for await (const entry of await opendir(`/proc/self/fd/${directory.fd}`, options))
    yield entry as unknown as Dirent<Buffer>;
}

/** So many names of a directory are gone through by ourselves, each with a call or two of its own. */
export const MOST_NAMES = 10_000;

/**
 * For what must be done to all that a directory holds, before the first of it is.
 * @throws LazarusError `over-limit`: an agent filled it beyond measure.
 */
export async function mustHoldFew(directory: FileHandle, name: string): Promise<void> {
  let left = MOST_NAMES;
  for await (const _ of entriesOf(directory)) {
    if (left-- > 0) continue;
    const why = `${name} of the cell holds more than ${MOST_NAMES} names; make it fewer`;
    throw new LazarusError("over-limit", why);
  }
}
