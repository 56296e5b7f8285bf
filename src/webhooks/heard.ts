import type { Registry } from "../cells/registry/registry.ts";
import type { Clock } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";

/** Deliveries come in bursts: one row a second is enough to know that they come. */
const APART_MS = 1_000;

/** Under which name the registry keeps when the last delivery of a repository came, in epoch ms. */
export function heardName(fullName: string): string {
  return `delivery:${fullName.toLowerCase()}`;
}

/** Writes down when a delivery came, for `lazarus doctor`, which may be another process. */
export function createHeard(deps: {
  readonly registry: Pick<Registry, "rememberText">;
  readonly clock: Clock;
  readonly log: Log;
}): (fullName: string) => void {
  const last = new Map<string, number>();
  return (fullName) => {
    const name = heardName(fullName);
    const now = deps.clock.now();
    if (Math.abs(now - (last.get(name) ?? 0)) < APART_MS) return;
    last.set(name, now);
    try {
      deps.registry.rememberText(name, String(now));
    } catch (error) {
      // A disk that is full must not lose the delivery too.
      deps.log.debug({ why: explain(error) }, "the time of a delivery was not written down");
    }
  };
}
