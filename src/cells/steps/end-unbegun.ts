import type { Clock } from "../../clock.ts";
import type { Run } from "../cell.ts";
import type { StopCause } from "../exit.ts";
import type { Registry } from "../registry/registry.ts";
import { settleItems } from "./give-items.ts";

/** Why a run never begins, and when that was known, in epoch ms. */
interface Unbegun {
  readonly stopped: string;
  /** `ended`: it was tried. `withdrawn`: it was taken out of the line. */
  readonly state?: "withdrawn" | "ended";
  readonly stopCause?: StopCause;
  readonly endedAt?: number;
}

/**
 * Ends a run that never began, in the caller's transaction. Nobody will look at what it left, so what its
 * turn was asked is over with it.
 */
export function endUnbegun(
  { registry, clock }: { readonly registry: Registry; readonly clock: Clock },
  run: Run,
  { state = "withdrawn", endedAt = clock.now(), ...why }: Unbegun,
): void {
  registry.updateRun(run.cellId, run.n, { state, endedAt, ...why });
  settleItems(registry, run, false);
}
