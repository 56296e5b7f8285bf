import { type Cell, shortId } from "../../cells/cell.ts";
import { secretsHeld } from "../../cells/steps/decide.ts";
import { replies } from "./replies.ts";
import type { Sentence } from "./sentence.ts";

/**
 * What a director types to let go what a cell's work is held back for, without `/lazarus`; null where nobody
 * may: it shows a secret that is no value of `env`.
 */
export function letGo(cell: Pick<Cell, "id" | "harvest" | "releasedSecrets">): string | null {
  const { harvest } = cell;
  if (harvest === null || harvest.tip === null || harvest.forbidden.length > 0) return null;
  const flag = harvest.protectedPaths.length > 0 ? " --allow-protected" : "";
  const names = secretsHeld(cell).map(({ name }) => name);
  const secrets = names.length > 0 ? ` --allow-secret ${names.join(",")}` : "";
  return `publish ${shortId(cell.id)}${flag}${secrets}`;
}

/** Why a cell was not closed whose work is held back, and what may be done. */
export function cannotPublish(cell: Cell, why: readonly string[]): Sentence {
  return replies.cannotPublish(cell, why, letGo(cell));
}
