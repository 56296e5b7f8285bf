import type { ChildProcess } from "node:child_process";
import { LazarusError } from "../../errors.ts";

/**
 * A child that was spawned just now, with its streams. Where no file descriptor is left Node makes none, and
 * says so in an event that ends the process where nobody listens.
 * @throws LazarusError `internal`, retryable, naming what cannot be started.
 */
export function started<Child extends ChildProcess>(child: Child, doing: string): Child {
  if (!isWithoutStreams(child)) return child;
  child.once("error", () => {});
  throw notStarted(doing, child.spawnfile);
}

/** Only where the system, or this process, has no file descriptor left: EMFILE, ENFILE. */
export function isWithoutStreams(child: { readonly stdio: unknown }): boolean {
  return child.stdio === undefined;
}

export function notStarted(doing: string, program: string): LazarusError {
  const why = "no file descriptor is left (raise LimitNOFILE)";
  return new LazarusError("internal", `${doing}: ${program} cannot be started: ${why}`, { retryable: true });
}
