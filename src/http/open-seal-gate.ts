import type { Router } from "express";
import type { App } from "../app.ts";
import { createSealGate } from "../seals/seal-gate.ts";

/** The gate of this server's seals. */
export function openSealGate(
  app: App,
  gate: NonNullable<App["gate"]>,
  seals: NonNullable<App["seals"]>,
): Router {
  return createSealGate({
    ...{ store: seals.store, kept: seals.kept, master: gate.master, holds: gate.holds, log: app.log },
    now: () => app.deps.clock.now(),
  });
}
