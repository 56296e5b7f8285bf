import type { Clock } from "../../clock.ts";
import type { Config } from "../../config/config.ts";
import type { Queue } from "../../queue/queue.ts";
import type { Announcement } from "../announcement.ts";
import type { Registry } from "../registry/registry.ts";
import type { Uids } from "../registry/uids.ts";

/** What the steps of cells are put with. */
export interface StepDeps {
  readonly registry: Registry;
  readonly queue: Queue;
  readonly uids: Uids;
  readonly clock: Clock;
  readonly config: Pick<Config, "limits" | "agents" | "publish" | "checks">;
  /** Called in the transaction of the change that is announced. */
  announce(announcement: Announcement): void;
}
