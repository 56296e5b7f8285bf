import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/config.ts";
import type { Queue } from "../../queue/queue.ts";
import type { Announcement } from "../announcement.ts";
import type { Cell, Run } from "../cell.ts";
import type { Place } from "../placing.ts";
import type { Registry } from "../registry/registry.ts";
import type { Uids } from "../registry/uids.ts";

/** What the steps of cells are put with. */
export interface StepDeps {
  readonly registry: Registry;
  readonly queue: Queue;
  readonly uids: Uids;
  readonly clock: Clock;
  readonly config: Pick<Config, "limits" | "agents" | "publish" | "checks">;
  /** Where a run goes, or why it waits; absent: everything is done in this process. */
  readonly place?: (cell: Cell, run: Run) => Place;
  /** Nothing of a cell is waited for on that runner any more; called in the transaction. */
  readonly left?: ((cellId: string, runner: string) => void) | undefined;
  /** Where control keeps seals besides on their runners; absent: nowhere. */
  readonly sealsIn?: string | undefined;
  /** Called in the transaction of the change that is announced. */
  announce(announcement: Announcement): void;
}
