import type { Cell } from "../cell.ts";
import type { Registry } from "./registry.ts";

const nameOf = (cellId: string) => `revived with pull request:${cellId}`;

/**
 * Remembers which pull request a cell had when it came back from its archive: that one may have been merged
 * or closed since.
 */
export function rememberRevival(
  cell: Pick<Cell, "id" | "pullRequest">,
  registry: Pick<Registry, "rememberText">,
): void {
  registry.rememberText(nameOf(cell.id), String(cell.pullRequest));
}

/**
 * Whether a cell's pull request is still the one it had before it was revived: where that is over, what is
 * made now needs another.
 */
export function isOfEarlierLife(
  cell: Pick<Cell, "id" | "pullRequest">,
  registry: Pick<Registry, "rememberedText">,
): boolean {
  return cell.pullRequest !== null && registry.rememberedText(nameOf(cell.id)) === String(cell.pullRequest);
}
