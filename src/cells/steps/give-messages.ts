import type { Announcement } from "../announcement.ts";
import type { Run } from "../cell.ts";
import { withMessages } from "../prompt.ts";
import type { Message } from "../registry/messages.ts";
import type { Registry } from "../registry/registry.ts";

/** With the mission beside it, it stays well below what a prompt may hold. */
const MOST_GIVEN_BYTES = 128 * 1024;

interface GivingDeps {
  readonly registry: Registry;
  announce(announcement: Announcement): void;
}

/** Those of a cell's messages that its next run by that agent is to be given. */
export function messagesFor(
  run: Pick<Run, "cellId" | "agent">,
  registry: Pick<Registry, "messages">,
): Message[] {
  return registry.messages.waiting(run.cellId).filter(({ agent }) => agent === null || agent === run.agent);
}

/**
 * What waits for an agent in a cell that ends is never given, and whoever wrote it sees that. Nobody visits
 * it any more.
 */
export function dropMessages({ registry, announce }: GivingDeps, cellId: string, why: string): void {
  registry.visits.drop(cellId);
  for (const { id, asker } of registry.messages.waiting(cellId)) {
    registry.messages.end(id, "dropped", why);
    announce({ kind: "untold", asker });
  }
}

/**
 * Puts what waits for its agent into the prompt of a run that is about to start. A first run's prompt is the
 * brief that was approved, and nothing else. What is too much for one prompt waits for the next.
 */
export function giveMessages(deps: GivingDeps, run: Run): void {
  const { registry, announce } = deps;
  const { kind, text } = registry.prompts.of(run);
  if (kind === "brief") return;
  let bytes = 0;
  const given = messagesFor(run, registry).filter(({ said }) => {
    bytes += Buffer.byteLength(said);
    return bytes <= MOST_GIVEN_BYTES;
  });
  if (given.length === 0) return;
  registry.prompts.change(run, withMessages(text, given));
  for (const message of given) {
    registry.messages.give(message.id, run.n);
    announce({ kind: "told", asker: message.asker });
  }
}
