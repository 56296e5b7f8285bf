import type { Announcement } from "../announcement.ts";
import type { Cell } from "../cell.ts";
import type { Registry } from "../registry/registry.ts";
import { heldFor } from "./decide.ts";

export interface GiveUpDeps {
  readonly registry: Registry;
  readonly steps: { mark(cellId: string): void; card(cellId: string): void };
  announce(announcement: Announcement): void;
}

/** Closing cannot go on: the cell is idle again, and says why. */
export function giveUp({ registry, steps, announce }: GiveUpDeps, cell: Cell, why: string): void {
  // What else may be in the way has a column of its own. Its card says why it is held back, once.
  const notClosed = heldFor(cell).length > 0 ? "it was not closed, since what it made is held back" : null;
  registry.update(cell.id, { closing: null, notClosed });
  registry.move(cell.id, { from: "closing", to: "idle", who: "lazarus", why: `not closed: ${why}` });
  steps.mark(cell.id);
  steps.card(cell.id);
  const person = cell.closing?.person ?? null;
  if (person === null) return;
  const n = registry.history(cell.id).length;
  announce({ kind: "not-closed", cell: registry.mustCell(cell.id), person, why, n });
}
