import { type Clock, toIso } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";
import { noteInDaemonLog, writeHeartbeat } from "./disk/directory.ts";

export interface JournalDeps {
  readonly cellDir: (cellId: string) => string;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
}

/** Writes the heartbeat at each scan while `fn` is at work: other tools take silence for death. */
export async function whileBeating<T>(
  parts: JournalDeps & { readonly config: { readonly pit: { readonly scanMs: number } } },
  cellId: string,
  state: string,
  fn: () => Promise<T>,
): Promise<T> {
  let cancel = () => {};
  const beat = async () => {
    cancel = parts.clock.after(parts.config.pit.scanMs, () => void beat());
    await writeHeartbeat(parts.cellDir(cellId), { at: toIso(parts.clock.now()), state, by: "runner" }).catch(
      (error: unknown) => {
        parts.log.warn({ cell: cellId, why: explain(error) }, "the heartbeat could not be written");
      },
    );
  };
  await beat();
  try {
    return await fn();
  } finally {
    cancel();
  }
}

/** Adds a line to the cell's `logs/daemon.log`; where that cannot be, our own log says so. */
export async function note(
  parts: JournalDeps,
  cellId: string,
  facts: { readonly what: string } & Record<string, unknown>,
): Promise<void> {
  await noteInDaemonLog(parts.cellDir(cellId), { at: toIso(parts.clock.now()), ...facts }).catch(
    (error: unknown) => {
      parts.log.warn({ cell: cellId, why: explain(error) }, "nothing could be added to a cell's daemon.log");
    },
  );
}
