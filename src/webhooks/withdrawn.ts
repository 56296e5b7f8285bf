import type { Lifecycle } from "../cells/lifecycle.ts";
import type { Message } from "../cells/registry/messages.ts";
import type { Registry } from "../cells/registry/registry.ts";
import type { Telling } from "../cells/telling.ts";
import { isDeleted } from "../commands/access/messages-to-end.ts";
import { nameOf } from "../commands/rights.ts";
import { replies } from "../commands/words/replies.ts";
import type { Forge } from "../gitea/port.ts";
import type { Reading } from "./read-thread.ts";

interface WithdrawnDeps {
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly forge: Forge;
}

/** Cells that wait, whose asking comment is gone. */
export async function withdrawnCells(
  reading: Reading,
  deps: Pick<WithdrawnDeps, "registry" | "forge">,
): Promise<string[]> {
  const gone: string[] = [];
  for (const cell of deps.registry.ofThread(reading.repository.id, reading.number)) {
    if (cell.state !== "proposed" || cell.askedInComment === null) continue;
    if (deps.registry.lastRun(cell.id)?.state !== "waiting") continue;
    // It may have been typed in another repository than it works on.
    const name = nameOf(cell.asked?.repository ?? reading.repository);
    if ((await deps.forge.comment(name, cell.askedInComment)) === null) gone.push(cell.id);
  }
  return gone;
}

/** Messages that were typed on a thread and wait, or are being worked on, whose comment is gone. */
export async function retractedMessages(
  reading: Reading,
  deps: Pick<WithdrawnDeps, "registry" | "forge">,
): Promise<Message[]> {
  const { repository, number } = reading;
  const gone: Message[] = [];
  const { messages } = deps.registry;
  const at = [repository.id, number] as const;
  for (const message of [...messages.waitingFrom(...at), ...messages.atWorkFrom(...at)])
    if (await isDeleted(message, deps)) gone.push(message);
  return gone;
}

export function retract(messages: readonly Message[], { telling }: { readonly telling: Telling }): void {
  const why = "its comment was deleted";
  for (const message of messages) {
    const { cellId, id, state } = message;
    if (state === "given") telling.tooLate(message);
    else telling.end(cellId, [{ id, state: "retracted", why }]);
  }
}

export function withdraw(cellId: string, deps: Pick<WithdrawnDeps, "registry" | "lifecycle">): void {
  const cell = deps.registry.cell(cellId);
  const run = deps.registry.lastRun(cellId);
  if (cell?.state !== "proposed" || run?.state !== "waiting") return;
  deps.lifecycle.withdraw(cell, run, {
    who: cell.requester.login,
    why: replies.withdrawn(),
    outcome: "discarded",
  });
}
