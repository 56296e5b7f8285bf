import { LazarusError } from "../errors.ts";
import { type Cell, isResting } from "./cell.ts";
import type { Registry } from "./registry/registry.ts";

/**
 * The cell as it is now. @throws LazarusError `internal`, retryable, where it left these states since the
 * caller looked.
 */
export function mustBe(registry: Registry, cellId: string, states: readonly Cell["state"][]): Cell {
  const cell = registry.mustCell(cellId);
  if (!states.includes(cell.state)) throw movedOn(cellId);
  return cell;
}

/** The same where no agent is at work in it; `or`: also in these states. */
export function mustRest(registry: Registry, cellId: string, or: readonly Cell["state"][] = []): Cell {
  const cell = mustBe(registry, cellId, ["idle", "active", ...or]);
  if (cell.state === "active" && !isResting(cell, registry.lastRun(cellId))) throw movedOn(cellId);
  return cell;
}

/** Between a command's look at a cell and its effects something else moved it: the command looks again. */
export function movedOn(cellId: string): LazarusError {
  return new LazarusError("internal", `changing cell ${cellId}: it moved on meanwhile`, { retryable: true });
}
