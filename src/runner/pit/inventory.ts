import type { Clock } from "../../clock.ts";
import { took } from "../../meter.ts";
import type { DirectoriesSeen } from "../../protocol/directories-seen.ts";
import { inSlices } from "../../slices.ts";
import { whatIs } from "../disk/directory.ts";
import { noCounts, type PitEntry, scan } from "./pit.ts";
import { writePitHeartbeat } from "./pit-heartbeat.ts";

export interface InventoryDeps {
  readonly clock: Clock;
  readonly config: {
    readonly dataDir: string;
    readonly missionsDir: string;
    readonly pit: { readonly staleMs: number; readonly skewMs: number };
  };
}

/** What lies under the missions root. */
export interface Inventory {
  /**
   * Looks at every directory, a slice of the event loop at a time, and writes the pit's heartbeat.
   * `isExpected`: some cell should have one.
   * @throws LazarusError `directory` where the root cannot be looked at; the signal's reason once it was
   * stopped.
   */
  look(how: { readonly isExpected: boolean }): Promise<DirectoriesSeen>;
  /** Ends a look between two slices; resolves when nothing is looked at any more. */
  stop(): Promise<void>;
}

export function createInventory({ clock, config }: InventoryDeps): Inventory {
  const { dataDir, missionsDir: root, pit } = config;
  const stopped = new AbortController();
  let going: Promise<unknown> = Promise.resolve();

  const look = async (isExpected: boolean): Promise<DirectoriesSeen> => {
    const counts = noCounts();
    const beganAt = clock.monotonic();
    const found: Found = { root, there: new Set(), damaged: new Map(), strangers: [] };
    // Before the first cell nobody has made the root.
    if (isExpected || (await whatIs(root)) !== "nothing") {
      await inSlices(scan({ root, clock, ...pit }), { clock, signal: stopped.signal }, (one) => {
        if (one.kind === "cell") counts[one.class]++;
        note(one, found);
      });
    }
    took("pit_scan_seconds", (clock.monotonic() - beganAt) / 1_000);
    await writePitHeartbeat(dataDir, { at: clock.now(), state: "running", root, counts });
    return found;
  };

  return {
    look({ isExpected }) {
      const looking = look(isExpected);
      going = looking.catch(() => {});
      return looking;
    },
    async stop() {
      stopped.abort();
      await going;
    },
  };
}

interface Found extends DirectoriesSeen {
  readonly there: Set<string>;
  readonly damaged: Map<string, string>;
  readonly strangers: string[];
}

function note(one: PitEntry, found: Found): void {
  if (one.kind === "stranger") {
    found.strangers.push(`${one.path}: ${one.what}`);
    return;
  }
  const id = one.id.toLowerCase();
  found.there.add(id);
  if (one.class === "incomplete" || one.class === "uninitialized") found.damaged.set(id, one.reason);
}
