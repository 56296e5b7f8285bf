import { type Clock, systemClock } from "../clock.ts";
import type { Backend, BackendName } from "./backend.ts";
import { processBackend } from "./process.ts";
import { sandboxBackend } from "./sandbox.ts";

/** Every backend there is, by name; whether each works here is for its `check` to say. */
export function createBackends(options: { readonly clock?: Clock } = {}): ReadonlyMap<BackendName, Backend> {
  const clock = options.clock ?? systemClock;
  const all = [processBackend(clock), sandboxBackend(clock)];
  return new Map(all.map((backend) => [backend.name, backend]));
}
