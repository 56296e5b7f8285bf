import type { Dirent } from "node:fs";
import { type FileHandle, opendir } from "node:fs/promises";

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
