import type { Clock } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";
import type { RunnerPort } from "../protocol/runner-port.ts";
import { inSlices } from "../slices.ts";
import type { DirectoryReports } from "./reports/directory-reports.ts";

export interface RoundsDeps {
  readonly directories: DirectoryReports;
  readonly runner: Pick<RunnerPort, "name" | "inventory">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
}

/** The pit inside `serve`: what lies on a runner's disk, compared with the registry. */
export interface Rounds {
  /** Never rejects; one that is asked for while another goes on is that one. */
  look(): Promise<void>;
  /** Ends between two slices; resolves when nothing is compared any more. */
  stop(): Promise<void>;
}

export function createRounds({ directories, runner, clock, log }: RoundsDeps): Rounds {
  const stopped = new AbortController();
  let going: Promise<void> | null = null;
  let isBlind = false;

  const look = async () => {
    const seen = await runner.inventory({ isExpected: directories.isAnyMade() });
    // Compared after the look: what was moved meanwhile is as it is now.
    await inSlices(directories.compare(seen), { clock, signal: stopped.signal }, () => {});
    if (isBlind) log.info({ root: seen.root }, "the missions root can be looked at again");
    isBlind = false;
  };

  return {
    look() {
      going ??= look()
        .catch((error: unknown) => {
          if (!isBlind && !stopped.signal.aborted)
            log.warn({ runner: runner.name, why: explain(error) }, "the pit could not look; it looks again");
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
