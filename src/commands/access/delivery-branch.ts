import type { Cell } from "../../cells/cell.ts";
import type { Repository, RepositoryName } from "../../gitea/port.ts";
import type { Deps } from "../command.ts";

/** A repository as the forge has it now. */
export interface Place {
  readonly name: RepositoryName;
  readonly repository: Pick<Repository, "id" | "defaultBranch">;
}

/** What an agent made never goes straight to where everybody builds from, whoever may push there. */
export async function mayBePushedTo(ref: string, place: Place, deps: Pick<Deps, "forge">): Promise<boolean> {
  if (ref === place.repository.defaultBranch) return false;
  return (await deps.forge.branch(place.name, ref))?.isProtected !== true;
}

/** `lazarus/<8 hex of the id>`, more of it where that is taken here or on the forge. */
export async function freeBranch(
  id: string,
  place: Place,
  deps: Pick<Deps, "forge" | "registry">,
): Promise<string> {
  const hex = id.replaceAll("-", "");
  for (let length = 8; length < hex.length; length += 4) {
    const branch = `lazarus/${hex.slice(0, length)}`;
    if (deps.registry.isBranchTaken(place.repository.id, branch)) continue;
    if ((await deps.forge.branch(place.name, branch)) === null) return branch;
  }
  return `lazarus/${hex}`;
}

/**
 * The branch that a cell's work goes to instead of the pull request's own, where that has become the default
 * branch, or a protected one, since the cell was asked for; null: it may go there.
 */
export async function detourOf(
  cell: Cell,
  place: Place,
  deps: Pick<Deps, "forge" | "registry">,
): Promise<string | null> {
  const isStraight = cell.delivery === "branch" && (cell.publishedBranch ?? cell.branch) === cell.branch;
  if (!isStraight || (await mayBePushedTo(cell.branch, place, deps))) return null;
  return freeBranch(cell.id, place, deps);
}
