import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Quarry, sendSignal } from "./kill.ts";
import { type Identity, isAlive } from "./proc.ts";

/**
 * Kills all that runs as a cell's own user, at one stroke: the kernel lets nobody fork while it goes through
 * them. Done by a child that becomes that user, so that it can hit nothing else.
 * @see kill(2), pid -1
 */
export async function killUser(uid: number): Promise<void> {
  if (uid === 0 || uid === process.getuid?.()) return;
  const child = spawn("/bin/sh", ["-c", "kill -KILL -1"], { uid, gid: uid, env: {}, stdio: "ignore" });
  await once(child, "exit").catch(() => {
    // It could not be started: what lives is killed one by one.
  });
}

/** Kills a session's first process and its group: else it would write down an end that we made. */
export function killLeader(leader: Identity): void {
  if (isAlive(leader)) sendSignal(-leader.pid, "SIGKILL");
}

/** One stroke after the other. */
export function strikes(...all: readonly NonNullable<Quarry["strike"]>[]): NonNullable<Quarry["strike"]> {
  return async (found) => {
    for (const one of all) await one(found);
  };
}
