import { toIso } from "../../clock.ts";
import { directoryError } from "../disk/directory.ts";
import { openDirectory, writeWhole } from "../disk/safe-files.ts";
import type { Counts } from "./pit.ts";

/** The pit's own sign of life, after a look at all cells. */
export interface PitHeartbeat {
  /** Epoch milliseconds. */
  readonly at: number;
  /** `running`: it looks again; `done`: it looked once. */
  readonly state: "running" | "done";
  readonly root: string;
  readonly counts: Counts;
}

/**
 * Writes `<data>/pit-heartbeat.json`, whole: several pits may write it, the last one counts.
 * @throws LazarusError `directory`, `disk-full`.
 */
export async function writePitHeartbeat(dataDir: string, beat: PitHeartbeat): Promise<void> {
  const { at, state, root, counts } = beat;
  const document = { at: toIso(at), state, by: "pit", pid: process.pid, root, counts };
  try {
    const directory = await openDirectory(dataDir);
    try {
      await writeWhole(directory, "pit-heartbeat.json", `${JSON.stringify(document, null, 2)}\n`);
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw directoryError(error, `writing pit-heartbeat.json in ${dataDir} (data in lazarus.yaml)`);
  }
}
