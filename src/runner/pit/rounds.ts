import type { Clock } from "../../clock.ts";
import { explain } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { DirectoriesSeen } from "../../protocol/shapes.ts";
import { whatIs } from "../disk/directory.ts";
import { inSlices, noCounts, type Seen, scan } from "./pit.ts";
import { writePitHeartbeat } from "./pit-heartbeat.ts";

export interface RoundsDeps {
  /** What compares a look with the registry; see `createDirectoryReports`. */
  readonly directories: {
    isAnyMade(): boolean;
    compare(seen: DirectoriesSeen): Iterable<unknown>;
  };
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly dataDir: string;
  readonly missionsDir: string;
  readonly pit: { readonly staleMs: number; readonly skewMs: number };
}

/** The pit inside `serve`: one look at all directories, compared with the registry. */
export interface Rounds {
  /** Never rejects; one that is asked for while another goes on is that one. */
  look(): Promise<void>;
  /** Ends between two slices; resolves when nothing is looked at any more. */
  stop(): Promise<void>;
}

/** How long a look may hold the event loop at a time. */
const SLICE_MS = 10;

/** Looks at every directory under the missions root, has what it saw compared, and writes the pit's heartbeat. */
export function createRounds(deps: RoundsDeps): Rounds {
  const { clock, log, missionsDir: root, directories } = deps;
  const stopped = new AbortController();
  let going: Promise<void> | null = null;
  let isBlind = false;

  const look = async () => {
    const counts = noCounts();
    const found: Found = { root, there: new Set(), damaged: new Map(), strangers: [] };
    const slices = { sliceMs: SLICE_MS, clock, signal: stopped.signal };
    // Before the first cell nobody has made the root.
    if (directories.isAnyMade() || (await whatIs(root)) !== "nothing") {
      await inSlices(scan({ root, clock, ...deps.pit }), slices, (one) => {
        if (one.kind === "cell") counts[one.class]++;
        note(one, found);
      });
    }
    // Compared after the look: what was moved meanwhile is as it is now.
    await inSlices(directories.compare(found), slices, () => {});
    await writePitHeartbeat(deps.dataDir, { at: clock.now(), state: "running", root, counts });
    if (isBlind) log.info({ root }, "the missions root can be looked at again");
    isBlind = false;
  };

  return {
    look() {
      going ??= look()
        .catch((error: unknown) => {
          if (!isBlind && !stopped.signal.aborted)
            log.warn({ root, why: explain(error) }, "the pit could not look; it looks again");
          isBlind = true;
        })
        .finally(() => {
          going = null;
        });
      return going;
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

function note(one: Seen, found: Found): void {
  if (one.kind === "stranger") {
    found.strangers.push(`${one.path}: ${one.what}`);
    return;
  }
  const id = one.id.toLowerCase();
  found.there.add(id);
  if (one.class === "incomplete" || one.class === "uninitialized") found.damaged.set(id, one.reason);
}
