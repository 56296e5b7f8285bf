import { AsyncLocalStorage } from "node:async_hooks";
import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { isWithoutStreams, notStarted } from "../../backends/os/started.ts";

/** The git that one call of simple-git starts. */
const calls = new AsyncLocalStorage<{ child: ChildProcess | null }>();

// simple-git takes the streams first and listens for errors then: where there are no streams it never comes
// to that, and the error would end this process.
subscribe("child_process", (message) => {
  const call = calls.getStore();
  if (call === undefined) return;
  call.child = (message as { process: ChildProcess }).process;
  call.child.once("error", () => {});
});

/**
 * Has simple-git start one git.
 * @throws LazarusError `internal`, retryable, where no file descriptor is left; else what simple-git throws.
 */
export async function startSimply<T>(doing: string, start: () => PromiseLike<T>): Promise<T> {
  const call: { child: ChildProcess | null } = { child: null };
  try {
    return await calls.run(call, start);
  } catch (error) {
    throw call.child !== null && isWithoutStreams(call.child) ? notStarted(doing, "git") : error;
  }
}
